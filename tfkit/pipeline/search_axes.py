"""The hyperparameters of a search as axes: where each value lies between 0 and 1. Read without KerasTuner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Axis:
    """One hyperparameter.

    Attributes:
        name: Its name.
        low: Least value of a range; None of a choice.
        high: Largest value of a range; None of a choice.
        log: Whether the range is sampled logarithmically.
        choices: The values of a choice; empty of a range.
        default: Its default.
    """

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = None

    def place(self, value: Any) -> float:
        """Where a value lies: 0 at the low end, 1 at the high end; a choice in the middle of its share.

        Example:
            >>> Axis("rate", low=1e-4, high=1.0, log=True).place(1e-2)
            0.5
            >>> Axis("kind", choices=("a", "b")).place("b")
            0.75
        """
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        low, high = self.low or 0.0, self.high or 0.0
        if low == high:
            return 0.5
        if self.log:
            return math.log(value / low) / math.log(high / low)
        return float((value - low) / (high - low))


def axes_of(config: Mapping[str, Any], values: Sequence[Mapping[str, Any]] = ()) -> tuple[Axis, ...]:
    """The axes of a space.

    One that stands in several scopes becomes one axis, wide enough for all. What has one value is none, and what
    searchers add themselves ("tuner/epochs", …) neither.

    Args:
        config: What `HyperParameters.get_config()` gives.
        values: Values of trials; a choice that is not declared any more is added.
    """
    found: dict[str, Axis] = {}
    for each in config["space"]:
        axis = _axis(each["class_name"], each["config"])
        found[axis.name] = _joined(found[axis.name], axis) if axis.name in found else axis
    axes = (_with_values(axis, [each[axis.name] for each in values if axis.name in each]) for axis in found.values())
    varied = (axis for axis in axes if len(axis.choices) > 1 or axis.low != axis.high)
    return tuple(axis for axis in varied if not axis.name.startswith("tuner/"))


def _axis(kind: str, config: Mapping[str, Any]) -> Axis:
    name = config["name"]
    if kind in ("Float", "Int"):
        low, high, default = config["min_value"], config["max_value"], config.get("default")
        return Axis(name, low, high, config.get("sampling") == "log", default=low if default is None else default)
    choices = {"Boolean": (False, True)}.get(kind) or tuple(config.get("values", (config.get("value"),)))
    default = config.get("default")
    return Axis(name, choices=choices, default=choices[0] if default is None else default)


def _joined(one: Axis, other: Axis) -> Axis:
    if one.choices or other.choices:
        return Axis(one.name, choices=_distinct((*one.choices, *other.choices)), default=one.default)
    low, high = min(one.low or 0, other.low or 0), max(one.high or 0, other.high or 0)
    return Axis(one.name, low, high, one.log and other.log, default=one.default)


def _with_values(axis: Axis, values: Sequence[Any]) -> Axis:
    if axis.choices:
        return Axis(axis.name, choices=_distinct((*axis.choices, *values)), default=axis.default)
    return axis


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
