"""k-means of numbers on a line, without chance."""

from __future__ import annotations

import numpy as np

# Groups of neighbouring values that the exact search tells apart, and how many of them are single values at the ends.
_GROUPS = 1024
_ENDS = 128
_STEPS = 300


def kmeans(values: np.ndarray, clusters: int) -> np.ndarray:
    """Centres with the least sum of squared distances to the values nearest to them.

    On a line a cluster is a run of sorted values, so the best division into runs is found by dynamic
    programming: exactly for up to 1024 distinct values. More are put into 1024 groups first, and Lloyd's
    algorithm settles the centres on the values themselves.

    Sources: Ckmeans.1d.dp, Wang and Song 2011; Lloyd 1982.

    Args:
        values: Numbers, of any shape, at least one.
        clusters: Centres wanted.

    Returns:
        The centres in ascending order, float64, `clusters` of them or as many as there are distinct values.

    Example:
        >>> kmeans(np.array([0.0, 0.1, 5.0, 5.1, 9.9, 10.0]), 3).round(2).tolist()
        [0.05, 5.05, 9.95]
    """
    line = _Line(values)
    starts = line.groups()
    if len(starts) <= clusters:
        return line.values[starts]
    return line.settled(line.divided(starts, clusters))


def nearest(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The index of the centre nearest to each value; centres in ascending order."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values)


class _Line:
    """Values in ascending order, with their sums from the left."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.sort(np.asarray(values, "float64").reshape(-1))
        # About their mean, so that squares do not swallow differences.
        about = self.values - self.values.mean()
        self._sums = np.concatenate([[0.0], np.cumsum(about)])
        self._squares = np.concatenate([[0.0], np.cumsum(about**2)])

    def groups(self) -> np.ndarray:
        """Where groups of neighbours begin: at every distinct value, or at ranks, distances and in both ends."""
        distinct = np.flatnonzero(np.diff(self.values, prepend=-np.inf))
        if len(distinct) <= _GROUPS:
            return distinct
        size, ranks = len(self.values), _GROUPS // 2
        marks = np.linspace(self.values[0], self.values[-1], _GROUPS - ranks - 2 * _ENDS)
        chosen = [np.linspace(0, size - 1, ranks), np.searchsorted(self.values, marks), distinct[:_ENDS]]
        starts = np.unique(np.concatenate([*chosen, distinct[-_ENDS:]]).astype(int))
        # A value that is there many times belongs to one group.
        return np.unique(np.searchsorted(self.values, self.values[starts]))

    def divided(self, starts: np.ndarray, clusters: int) -> np.ndarray:
        """The centres of the best division of the groups into runs."""
        ends = np.append(starts[1:], len(self.values))
        cost = self._inertia(starts[:, None], ends[None, :])  # of a run from group i to group j
        least, firsts = cost[0], []
        for _ in range(clusters - 1):
            totals = np.concatenate([[np.inf], least[:-1]])[:, None] + cost
            firsts.append(totals.argmin(axis=0))
            least = totals.min(axis=0)
        edges = [len(starts)]
        for first in reversed(firsts):
            edges.append(int(first[edges[-1] - 1]))
        edges = np.append(starts, len(self.values))[[0, *edges[::-1]]]
        return self._means(edges, np.zeros(clusters))

    def settled(self, centres: np.ndarray) -> np.ndarray:
        """The centres after Lloyd's steps, until none moves; a centre without values stays where it is."""
        for _ in range(_STEPS):
            between = np.searchsorted(self.values, (centres[1:] + centres[:-1]) / 2, side="right")
            moved = self._means(np.concatenate([[0], between, [len(self.values)]]), centres)
            if np.array_equal(moved, centres):
                break
            centres = moved
        return np.unique(centres)

    def _means(self, edges: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
        counts = np.diff(edges)
        means = self.values.mean() + np.diff(self._sums[edges]) / np.maximum(counts, 1)
        return np.where(counts > 0, means, otherwise)

    def _inertia(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Squared distances of runs to their means; infinity for a run that ends before it begins."""
        counts = ends - starts
        sums = self._sums[ends] - self._sums[starts]
        spread = self._squares[ends] - self._squares[starts] - sums**2 / np.maximum(counts, 1)
        return np.where(counts > 0, np.maximum(spread, 0.0), np.inf)
