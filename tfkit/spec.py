"""Spec, the entry of one plugin in its package's table, and the kinds there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from tfkit.errors import ParameterError

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Kind:
    """A kind of plugin.

    Attributes:
        name: Its name, singular.
        hook: The hook that yields its specs.
        products: The types, as "module:Class", of what `tfkit.create` gives: one of them.
        attach: The callback class, as "module:Class", that installs the product for one `fit`;
            None where the product itself knows (`callback`, `compressor`) or cannot be installed. A
            product that has a method `callback`, as a schedule of the batch size has, is asked for its own.
    """

    name: str
    hook: str
    products: tuple[str, ...]
    attach: str | None = None


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("metric", "tfkit_metrics", ("keras.metrics:Metric",)),
        Kind(
            "schedule",
            "tfkit_schedules",
            ("keras.optimizers.schedules:LearningRateSchedule", "tfkit.protocols:BatchSizeSchedule"),
            attach="tfkit.attach.schedule:ScheduleCallback",
        ),
        Kind(
            "regularizer",
            "tfkit_regularizers",
            ("keras.regularizers:Regularizer", "keras.constraints:Constraint"),
            attach="tfkit.attach.regularizer:RegularizerCallback",
        ),
        Kind("searcher", "tfkit_searchers", ("keras_tuner:Oracle",)),
        Kind("compressor", "tfkit_compressors", ("tfkit.protocols:Compressor",)),
        Kind("callback", "tfkit_callbacks", ("keras.callbacks:Callback",)),
        Kind(
            "strategy",
            "tfkit_strategies",
            ("tensorflow:distribute.Strategy",),
            attach="tfkit.attach.replicas.callback:StrategyCallback",
        ),
        Kind("exporter", "tfkit_exporters", ("tfkit.protocols:Exporter",)),
    )
}


@dataclass(frozen=True)
class NoParameters:
    """The schema of a plugin that takes no parameters."""


@dataclass(frozen=True)
class Spec:
    """One plugin: what it is called, what it makes, what it takes.

    Args:
        name: Kebab-case name, unique within its kind.
        summary: One sentence, shown by `tfkit plugins list`.
        target: "package.module:Class", imported only when the plugin is created.
        params: Frozen dataclass that is the schema of the parameters (see `tfkit.parameters`).
        examples: Parameters that make a valid object; the conformance kit runs each.
        version: Raised when the meaning of the parameters changes.

    Raises:
        ParameterError: If the name, the target or the schema has the wrong form.

    Example:
        >>> import tfkit
        >>> tfkit.Spec("half", "Halves the rate.", "my_package.half:Half").name
        'half'
    """

    name: str
    summary: str
    target: str
    params: type = NoParameters
    examples: tuple[Mapping[str, Any], ...] = field(default=())
    version: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ParameterError(f"a plugin's name must be kebab-case such as 'my-plugin'; got {self.name!r}")
        if not isinstance(self.target, str) or not _TARGET.fullmatch(self.target):
            raise ParameterError(
                f"the target of plugin {self.name!r} must have the form 'package.module:Class'; got {self.target!r}"
            )
        if not (isinstance(self.params, type) and is_dataclass(self.params)):
            raise ParameterError(
                f"the params of plugin {self.name!r} must be a frozen dataclass (its schema); got {self.params!r}"
            )


@dataclass(frozen=True)
class Command:
    """A command that a plugin adds to `tfkit`.

    Args:
        name: The word after `tfkit`.
        summary: One sentence for `tfkit --help`.
        target: "package.module:command", a click command, imported when it is called.
    """

    name: str
    summary: str
    target: str
