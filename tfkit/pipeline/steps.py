"""The steps of a compression: compressors, with parameters and a number of epochs of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfkit.errors import ParameterError
from tfkit.factory import create
from tfkit.protocols import Compressor
from tfkit.recipe import step_name
from tfkit.registry import installed

# A compressor's name, (name, params), or (name, params, epochs).
CompressStep = str | tuple[Any, ...]

AUTO = "auto"
# What an automatic search may lose where no bound is given.
AUTO_MAX_DROP = 0.01
# Stands for the model that is compressed, as the teacher of distill.
SOURCE = "source"


@dataclass(frozen=True)
class PlannedStep:
    """One step.

    Attributes:
        name: The compressor.
        params: Its parameters.
        epochs: Epochs of fine-tuning; None for those of the whole call.
    """

    name: str
    params: Mapping[str, Any]
    epochs: int | None = None

    def make(self, source: Any) -> Compressor:
        """The compressor; a `teacher` that is "source" becomes the model that is compressed.

        Raises:
            PluginNotFound: There is no such compressor.
            ParameterError: A parameter is wrong.
        """
        params = dict(self.params)
        if params.get("teacher") == SOURCE:
            params["teacher"] = source
        return create("compressor", self.name, **params)


def planned(step: CompressStep) -> PlannedStep:
    """A step as its parts.

    Raises:
        ParameterError: It has another form, or its epochs are no int >= 0.

    Example:
        >>> planned(("prune", {"sparsity": 0.5}, 3))
        PlannedStep(name='prune', params={'sparsity': 0.5}, epochs=3)
    """
    if not isinstance(step, (tuple, list)) or len(step) != 3:
        return PlannedStep(*step_name(step))
    epochs = step[2]
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0):
        raise ParameterError(f"the epochs of a step, its third part, must be an int >= 0; got {epochs!r} in {step!r}")
    return PlannedStep(*step_name((step[0], step[1])), epochs)


def plan(steps: Sequence[CompressStep]) -> list[PlannedStep]:
    """All steps as their parts.

    Raises:
        ParameterError: It is no list.
    """
    if isinstance(steps, str) or not isinstance(steps, Sequence):
        raise ParameterError(f"steps must be a list such as ['quantize'], or 'auto'; got {steps!r}")
    return [planned(step) for step in steps]


def named_steps(steps: str | Sequence[CompressStep]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and parameters of the steps that are given, to be checked before anything runs; none of "auto"."""
    if steps == AUTO:
        return
    for step in plan(steps):
        yield step.name, dict(step.params)


def drop_allowed(steps: str | Sequence[CompressStep], max_drop: float | None) -> float | None:
    """The bound that holds: the one that is given, else that of an automatic search; None for any loss."""
    return AUTO_MAX_DROP if max_drop is None and steps == AUTO else max_drop


def is_installed(name: str) -> bool:
    """Whether there is a compressor of that name."""
    return any(row.name == name and row.spec is not None for row in installed().select("compressor"))
