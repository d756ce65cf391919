"""The values that one hyperparameter can take, and how one is drawn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from keras_tuner.engine.hyperparameters import Float, Int

# KerasTuner's grid takes so many values of a range that has no step.
GRID_POINTS = 10


def levels(parameter: Any) -> Sequence[Any] | None:
    """Every value that a hyperparameter can take, in order; None where it is a range of floats.

    Steps are counted in decimals, so that (0, 1, step=0.1) ends at 1.0; KerasTuner loses it to rounding.

    Example:
        >>> list(levels(Float("x", 0, 1, step=0.25)))
        [0.0, 0.25, 0.5, 0.75, 1.0]
        >>> list(levels(Int("x", 4, 256, step=4, sampling="log")))
        [4, 16, 64, 256]
    """
    if not isinstance(parameter, (Int, Float)):
        return tuple(dict.fromkeys(parameter.values))
    if parameter.min_value == parameter.max_value:
        return (parameter.min_value,)
    if isinstance(parameter, Float):
        return _float_levels(parameter)
    if parameter.sampling == "linear" or parameter.step is None:
        return range(parameter.min_value, parameter.max_value + 1, parameter.step or 1)
    return _powers(parameter, parameter.min_value, parameter.max_value, parameter.step)


def grid_levels(parameter: Any) -> Iterable[Any]:
    """The values that a grid takes of a hyperparameter, its default first.

    These are all its values; but ten, evenly spread over the way it is sampled, of a range of floats or
    a long logarithmic range of ints that has no step.

    Example:
        >>> list(grid_levels(Int("x", 1, 5, default=3)))
        [3, 1, 2, 4, 5]
    """
    found = levels(parameter)
    if found is None or (_without_step(parameter) and len(found) > GRID_POINTS):
        probabilities = [(point + 0.5) / GRID_POINTS for point in range(GRID_POINTS)]
        found = sorted({within(parameter, parameter.prob_to_value(each)) for each in probabilities})
    default = parameter.default
    if default != within(parameter, default):
        return found
    return itertools.chain([default], (value for value in found if value != default))


def sample(parameter: Any, probability: float) -> Any:
    """The value below which lies that share of what the hyperparameter declares.

    Args:
        parameter: A KerasTuner hyperparameter; its sampling may be "linear", "log" or "reverse_log".
        probability: From 0 to 1. At 1 KerasTuner's own `prob_to_value` leaves the range of an int by one.

    Example:
        >>> sample(Int("x", 4, 256, sampling="log"), 1.0)
        256
    """
    found = levels(parameter)
    if found is None or _without_step(parameter):
        return within(parameter, parameter.prob_to_value(probability))
    return found[min(int(probability * len(found)), len(found) - 1)]


def within(parameter: Any, value: Any) -> Any:
    """The value, or the bound that it lies beyond."""
    if not isinstance(parameter, (Int, Float)):
        return value
    return min(max(value, parameter.min_value), parameter.max_value)


def _without_step(parameter: Any) -> bool:
    return isinstance(parameter, (Int, Float)) and parameter.step is None


def _float_levels(parameter: Float) -> Sequence[float] | None:
    if parameter.step is None:
        return None
    low, high, step = (Decimal(str(each)) for each in (parameter.min_value, parameter.max_value, parameter.step))
    if parameter.sampling == "linear":
        return _Steps(low, step, int((high - low) // step) + 1)
    return tuple(float(each) for each in _powers(parameter, low, high, step))


def _powers(parameter: Any, low: Any, high: Any, step: Any) -> Sequence[Any]:
    """low, low * step, low * step², … up to high; the same distances counted from the other end if reversed."""
    found = [low]
    while found[-1] * step <= high:
        found.append(found[-1] * step)
    return found if parameter.sampling == "log" else [high + low - each for each in found]


class _Steps(Sequence[float]):
    """low, low + step, …: computed when asked for, since there may be millions."""

    def __init__(self, low: Decimal, step: Decimal, count: int) -> None:
        self._low, self._step, self._count = low, step, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return float(self._low + index * self._step)

    def __contains__(self, value: object) -> bool:
        return self._place(value) is not None

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        place = self._place(value)
        if place is None or place not in range(self._count)[start:stop]:
            raise ValueError(f"{value!r} is none of the steps")
        return place

    def _place(self, value: Any) -> int | None:
        """Where a value stands, by arithmetic."""
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        place = round((Decimal(str(value)) - self._low) / self._step)
        return place if 0 <= place < self._count and self[place] == value else None
