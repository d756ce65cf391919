"""Sets of values as rows of numbers, and the features by which a kernel compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfkit_searchers import space
from tfkit_searchers.axes import Axis

# An arc of length 1 over a right angle, round the point that stands for "inactive".
_RADIUS = 2 / np.pi


class Encoding:
    """Turns values into points and points into features.

    A point has one coordinate for each hyperparameter, NaN where it is inactive. Its features are such that
    the distance of two points is: for a number the difference of its coordinates, for a choice 1 if it differs.
    A number below a condition lies on an arc round "inactive", so that all its values are as far from that;
    where both points lack it, it does not count (Swersky et al., "Raiders of the lost architecture", 2013).

    Attributes:
        axes: One for each hyperparameter.
        axis_of: For each feature, the number of its axis.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Choice("kind", ["flat", "deep"]), hp.Float("rate", 0.01, 1, sampling="log")
        >>> encoding = Encoding(hp.space)
        >>> encoding.point({"kind": "deep", "rate": 0.1})
        array([1. , 0.5])
        >>> encoding.values(np.array([0.0, 1.0]))
        {'kind': 'flat', 'rate': 1.0}
    """

    def __init__(self, parameters: space.Space) -> None:
        self._parameters = tuple(parameters)
        self.axes = [Axis(parameter) for parameter in self._parameters]
        arcs = [self._may_be_inactive(index) for index in range(len(self.axes))]
        widths = [_width(axis, arc) for axis, arc in zip(self.axes, arcs)]
        self.axis_of = np.repeat(np.arange(len(self.axes)), widths)
        self._category = np.array([self.axes[each].is_category for each in self.axis_of], bool)
        self._arc = np.array([arcs[each] for each in self.axis_of], bool)
        within = np.concatenate([np.arange(width) for width in [0, *widths]])  # a feature's place within its axis
        self._indices = within[self._category]
        self._quarter = within[self._arc] * np.pi / 2  # the second feature of an arc is the sine
        self._incidence = (self.axis_of[:, None] == np.arange(len(self.axes))).astype(float)

    def point(self, values: Mapping[str, Any]) -> np.ndarray:
        """The coordinates of a set of active values, of shape (axes,)."""
        found = np.full(len(self.axes), np.nan)
        seen: set[str] = set()
        for index, axis in enumerate(self.axes):
            name = axis.parameter.name
            if name in values and name not in seen and space.is_active(axis.parameter, values):
                seen.add(name)
                found[index] = axis.coordinate(values[name])
        return found

    def values(self, point: np.ndarray) -> space.Values:
        """The active values nearest to a point; the middle of what is NaN there."""
        places = {id(parameter): index for index, parameter in enumerate(self._parameters)}
        whole = np.nan_to_num(point, nan=0.5)

        def value(parameter: Any) -> Any:
            index = places[id(parameter)]
            return self.axes[index].value(whole[index])

        return space.active_values(self._parameters, value)

    def drawn(self, uniform: np.ndarray) -> np.ndarray:
        """Coordinates for rows of uniform numbers, spread as declared; for what is inactive too."""
        return np.stack([axis.drawn(uniform[:, index]) for index, axis in enumerate(self.axes)], axis=1)

    def settled(self, points: np.ndarray, fill: np.ndarray) -> np.ndarray:
        """The nearest points that are sets of values.

        Args:
            points: Of shape (points, axes).
            fill: Of the same shape: coordinates for what is NaN in a point and may be active there.
        """
        whole = np.where(np.isnan(points), fill, points)
        return self._closed(np.stack([axis.nearest(whole[:, index]) for index, axis in enumerate(self.axes)], axis=1))

    def features(self, points: np.ndarray) -> np.ndarray:
        """The features of points, of shape (points, features)."""
        found = points[:, self.axis_of]
        if self._category.any():
            found[:, self._category] = (found[:, self._category] == self._indices) * np.sqrt(0.5)
        if self._arc.any():
            angle = found[:, self._arc] / _RADIUS - self._quarter
            found[:, self._arc] = np.nan_to_num(_RADIUS * np.cos(angle))
        return found

    def by_coordinates(self, points: np.ndarray, by_features: np.ndarray) -> np.ndarray:
        """Derivatives by the coordinates of points, from those by their features; 0 for choices.

        Args:
            points: Of shape (points, axes).
            by_features: Of shape (points, features).
        """
        found = np.where(self._category, 0.0, by_features)
        if self._arc.any():
            angle = points[:, self.axis_of[self._arc]] / _RADIUS - self._quarter
            found[:, self._arc] *= np.nan_to_num(-np.sin(angle))
        return found @ self._incidence

    def _may_be_inactive(self, index: int) -> bool:
        """Whether a number may be inactive: its scope is closed, or another one of its name counts."""
        axis, name = self.axes[index], self.axes[index].parameter.name
        is_shadowed = any(other.parameter.name == name for other in self.axes[:index])
        return not axis.is_category and (is_shadowed or bool(axis.parameter.conditions))

    def _closed(self, points: np.ndarray) -> np.ndarray:
        """Makes NaN what is inactive."""
        taken: dict[str, list[int]] = {}
        for index, axis in enumerate(self.axes):
            name = axis.parameter.name
            active = np.ones(len(points), bool)
            for condition in axis.parameter.conditions:
                active &= self._holds(condition, points, taken.get(condition.name, []))
            for other in taken.get(name, []):
                active &= np.isnan(points[:, other])
            points[~active, index] = np.nan
            taken.setdefault(name, []).append(index)
        return points

    def _holds(self, condition: Any, points: np.ndarray, parents: list[int]) -> np.ndarray:
        found = np.zeros(len(points), bool)
        for parent in parents:
            axis = self.axes[parent]
            coordinates, places = np.unique(points[:, parent], return_inverse=True)
            found |= np.array([_opens(condition, axis, each) for each in coordinates], bool)[places]
        return found


def _opens(condition: Any, axis: Axis, coordinate: float) -> bool:
    return not np.isnan(coordinate) and condition.is_active({condition.name: axis.value(coordinate)})


def _width(axis: Axis, is_arc: bool) -> int:
    if axis.grid is not None and len(axis.grid) == 1:
        return 0
    if axis.is_category:
        return len(axis.grid)
    return 2 if is_arc else 1
