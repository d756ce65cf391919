"""The points that promise the most: many candidates, then slopes for numbers and neighbours for the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from tfkit_searchers.axes import Axis
from tfkit_searchers.encoding import Encoding
from tfkit_searchers.surrogate.belief import Belief
from tfkit_searchers.surrogate.improvement import log_improvement
from tfkit_searchers.surrogate.limit import Limit, log_feasible

_DRAWN = 384  # candidates from the whole space
_NEAR = 192  # candidates near the best points
_STARTS = 6
_KEPT = 50  # candidates that are given back behind the starts
_MOST_OTHERS = 100  # values of a choice that are tried in place of one
_FEW = 20  # an axis of no more values is climbed value by value, any other along its slope


class Promise:
    """Log expected improvement over points, where they keep to the bounds (Gardner et al. 2014).

    Args:
        encoding: Of the space.
        belief: What is believed of the function, to be minimized.
        limits: What is believed of the bounds.
    """

    def __init__(self, encoding: Encoding, belief: Belief, limits: Sequence[Limit] = ()) -> None:
        self._encoding, self._belief, self._limits = encoding, belief, list(limits)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The promise of points, of shape (points,); minus infinity where they are left out."""
        features = self._encoding.features(points)
        found = log_improvement(self._belief.best, *self._belief.posterior.at(features))[0]
        found = found + log_feasible(self._limits, features)
        return np.where(self._belief.is_open(features), found, -np.inf)

    def slopes(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The promise of points and its derivatives by their coordinates, 0 where there is none."""
        features = self._encoding.features(points)
        mean, deviation, mean_slopes, deviation_slopes = self._belief.posterior.slopes_at(features)
        value, by_mean, by_deviation = log_improvement(self._belief.best, mean, deviation)
        by_features = by_mean[:, None] * mean_slopes + by_deviation[:, None] * deviation_slopes
        by_features = sum((limit.slopes(features) for limit in self._limits), by_features)
        value = value + log_feasible(self._limits, features)
        return value, self._encoding.by_coordinates(points, by_features)


def ranked(encoding: Encoding, promise: Promise, best: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Points in the order of their promise, the highest first.

    Args:
        encoding: Of the space.
        promise: What is to be high.
        best: Points round which to look too, of shape (points, axes).
        generator: For the candidates.
    """
    points = candidates(encoding, best, generator)
    points = points[np.argsort(-promise(points), kind="stable")[:_KEPT]]
    starts = climbed(encoding, promise, points[:_STARTS])
    moved = stepped(encoding, promise, starts, generator)
    changed = ~((moved == starts) | (np.isnan(moved) & np.isnan(starts))).all(axis=1)
    if changed.any():
        moved[changed] = climbed(encoding, promise, moved[changed])
    found = np.concatenate([moved, points])
    return found[np.argsort(-promise(found), kind="stable")]


def candidates(encoding: Encoding, best: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Points drawn from the whole space, and points that differ little from the best ones."""
    axes = len(encoding.axes)
    anywhere = encoding.drawn(generator.random((_DRAWN + _NEAR, axes)))
    anew = anywhere[_DRAWN:]
    around = best[np.arange(_NEAR) % len(best)]
    shape = around.shape
    width = 10 ** generator.uniform(-3, -0.5, (_NEAR, 1))
    category = np.array([axis.is_category for axis in encoding.axes])
    jump = generator.random(shape) < 1 / axes
    shift = np.where(category | (generator.random(shape) < 0.5), 0.0, width * generator.standard_normal(shape))
    near = np.where(jump & (category | (width > 0.1)), anew, around + shift)
    return encoding.settled(np.concatenate([anywhere[:_DRAWN], near]), anywhere)


def climbed(encoding: Encoding, promise: Promise, starts: np.ndarray) -> np.ndarray:
    """The starts, moved along the slopes of the axes that have many values."""
    moving = np.array([not _is_short(axis) for axis in encoding.axes]) & ~np.isnan(starts)
    if not moving.any():
        return starts.copy()

    def down(flat: np.ndarray) -> tuple[float, np.ndarray]:
        points = starts.copy()
        points[moving] = flat
        values, slopes = promise.slopes(points)
        return -values.sum(), -slopes[moving]

    bounds = [(0, 1)] * int(moving.sum())
    options = {"maxiter": 25, "ftol": 1e-6}
    found = minimize(down, starts[moving], jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    points = starts.copy()
    points[moving] = found.x
    points = encoding.settled(points, points)
    better = promise(points) > promise(starts)
    return np.where(better[:, None], points, starts)


def stepped(
    encoding: Encoding, promise: Promise, starts: np.ndarray, generator: np.random.Generator, rounds: int = 3
) -> np.ndarray:
    """The starts, each moved to its best neighbour as long as that promises more."""
    values, starts = promise(starts), starts.copy()
    for _ in range(rounds):
        owners, points = neighbours(encoding, starts, generator)
        if not len(owners):
            return starts
        promised = promise(points)
        moved = False
        for index in range(len(starts)):
            mine = np.flatnonzero(owners == index)
            best = mine[np.argmax(promised[mine])] if len(mine) else None
            if best is not None and promised[best] > values[index]:
                starts[index], values[index], moved = points[best], promised[best], True
        if not moved:
            return starts
    return starts


def neighbours(encoding: Encoding, starts: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points that differ from a start in one axis of which the values are known, and the number of that start.

    Of an axis of many values these are the two next ones on each side; of a choice of very many, some that are drawn.
    """
    owners, rows = [], []
    for index, axis in enumerate(encoding.axes):
        if axis.grid is None or len(axis.grid) == 1:
            continue
        for owner in np.flatnonzero(~np.isnan(starts[:, index])):
            others = _others(axis, starts[owner, index], generator)
            found = np.repeat(starts[owner : owner + 1], len(others), axis=0)
            found[:, index] = others
            owners.append(np.full(len(others), owner))
            rows.append(found)
    if not rows:
        return np.empty(0, int), np.empty((0, len(encoding.axes)))
    points = np.concatenate(rows)
    return np.concatenate(owners), encoding.settled(points, encoding.drawn(generator.random(points.shape)))


def _others(axis: Axis, coordinate: float, generator: np.random.Generator) -> np.ndarray:
    place = int(np.argmin(np.abs(axis.grid - coordinate)))
    if len(axis.grid) > _MOST_OTHERS and axis.is_category:
        # Those that were not tried are all alike.
        return generator.choice(np.delete(axis.grid, place), _MOST_OTHERS, replace=False)
    if _is_short(axis):
        return np.delete(axis.grid, place)
    return np.delete(axis.grid[max(place - 2, 0) : place + 3], min(place, 2))


def _is_short(axis: Axis) -> bool:
    return axis.is_category or (axis.grid is not None and len(axis.grid) <= _FEW)
