"""One hyperparameter as one coordinate: a position from 0 to 1 in the way it is sampled, or the index of a choice."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras_tuner.engine.hyperparameters import Choice, Float, Int

from tfkit_searchers.levels import levels, within

# A range of more ints than these is treated as one of floats, and rounded when it is decoded.
_MOST_LEVELS = 1000


class Axis:
    """The coordinate of a hyperparameter.

    Attributes:
        parameter: The hyperparameter.
        is_category: Whether its values have no order: its coordinates are indices, and none is between two others.
        grid: The coordinates of all its values, ascending; None of a range of too many to tell apart.

    Example:
        >>> axis = Axis(Int("units", 4, 256, step=4, sampling="log"))
        >>> axis.coordinate(16), axis.value(0.4)
        (0.333..., 16)
    """

    def __init__(self, parameter: Any) -> None:
        self.parameter = parameter
        self._levels = levels(parameter)
        numeric = isinstance(parameter, (Int, Float))
        self.is_category = not numeric and not _is_ordered(parameter)
        self._is_even = not numeric or parameter.step is not None
        self.grid = self._grid()

    def coordinate(self, value: Any) -> float:
        """Where a value lies."""
        if isinstance(self.parameter, (Int, Float)):
            return _position(self.parameter, within(self.parameter, value))
        index = self._levels.index(value) if value in self._levels else 0
        return float(index) if self.is_category else index / max(len(self._levels) - 1, 1)

    def value(self, coordinate: float) -> Any:
        """The value that is nearest to a coordinate."""
        if not isinstance(self.parameter, (Int, Float)):
            return self._levels[int(np.argmin(np.abs(self.grid - coordinate)))]
        raw = within(self.parameter, _at(self.parameter, coordinate))
        return float(raw) if self._levels is None else self._nearest(raw, coordinate)

    def drawn(self, uniform: np.ndarray) -> np.ndarray:
        """Turns uniform numbers into coordinates that are spread as the hyperparameter declares."""
        if self.grid is None or not self._is_even:
            return self.nearest(uniform)
        return self.grid[np.minimum((uniform * len(self.grid)).astype(int), len(self.grid) - 1)]

    def nearest(self, coordinates: np.ndarray) -> np.ndarray:
        """The nearest coordinates that are a value's."""
        if self.grid is None:
            return np.clip(coordinates, 0.0, 1.0)
        return self.grid[np.searchsorted((self.grid[1:] + self.grid[:-1]) / 2, coordinates)]

    def _grid(self) -> np.ndarray | None:
        if self._levels is None:
            return None
        if not isinstance(self.parameter, (Int, Float)):
            places = np.arange(len(self._levels), dtype=float)
            return places if self.is_category else places / max(len(places) - 1, 1)
        if len(self._levels) > _MOST_LEVELS:
            return None
        return np.sort([self.coordinate(value) for value in self._levels])

    def _nearest(self, raw: float, coordinate: float) -> Any:
        # reverse_log steps come in descending order
        ascending = self._levels if self._levels[0] <= self._levels[len(self._levels) - 1] else _Reversed(self._levels)
        index = bisect_left(ascending, raw)
        around = [ascending[each] for each in (index - 1, index) if 0 <= each < len(ascending)]
        return min(around, key=lambda value: abs(self.coordinate(value) - coordinate))


class _Reversed(Sequence[Any]):
    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[len(self._values) - 1 - index]


def _is_ordered(parameter: Any) -> bool:
    return isinstance(parameter, Choice) and bool(parameter.ordered) and len(parameter.values) > 2


def _position(parameter: Any, value: float) -> float:
    """From 0 at the least value to 1 at the largest, as the hyperparameter is sampled."""
    low, high = parameter.min_value, parameter.max_value
    if low == high:
        return 0.5
    if parameter.sampling == "linear":
        return (value - low) / (high - low)
    if parameter.sampling == "log":
        return math.log(value / low) / math.log(high / low)
    return 1 - math.log((high + low - value) / low) / math.log(high / low)


def _at(parameter: Any, position: float) -> float:
    """The inverse of `_position`, not rounded."""
    low, high = parameter.min_value, parameter.max_value
    if parameter.sampling == "linear":
        return low + position * (high - low)
    if parameter.sampling == "log":
        return low * (high / low) ** position
    return high + low - low * (high / low) ** (1 - position)
