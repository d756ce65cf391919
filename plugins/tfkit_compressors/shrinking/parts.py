"""The weights of a group, a row for each of its units."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np

from tfkit_compressors.shrinking.plan import Group, Plan
from tfkit_compressors.shrinking.trace import Cut

Values = Callable[[keras.Variable], np.ndarray]


class Parts:
    """Where each group of a plan lies in the weights.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._group_of = np.full(len(plan.units), -1)
        self._rank: np.ndarray = np.zeros(len(plan.units), np.int64)
        for position, group in enumerate(plan.groups):
            self._group_of[group.units] = position
            self._rank[group.units] = np.arange(len(group.units))
        self._positions = {id(group): position for position, group in enumerate(plan.groups)}
        self._found: dict[int, list[tuple[Cut, np.ndarray]]] = {each: [] for each in range(len(plan.groups))}
        self._plan = plan
        for cut in plan.cuts():
            owners = self._group_of[plan.units[cut.channels]]
            for position in np.unique(owners[owners >= 0]):
                self._found[position].append((cut, np.flatnonzero(owners == position)))

    def rows(self, group: Group, values: Values, *roles: str, names: tuple[str, ...] = ()) -> list[np.ndarray]:
        """A matrix for each weight of a group: a row for each unit, in the order of `Group.units`.

        Args:
            group: One of the plan's groups.
            values: Gives the array for a weight, of its shape.
            *roles: Roles of the weights, such as "makes".
            names: Names of the weights, such as "gamma"; none for all.
        """
        return [
            self._matrix(group, np.moveaxis(values(cut.variable), cut.axis, 0), cut, positions)
            for cut, positions in self.cuts(group, *roles)
            if not names or cut.variable.name in names
        ]

    def cuts(self, group: Group, *roles: str) -> Iterator[tuple[Cut, np.ndarray]]:
        """The cuts of a group, with its positions along them."""
        return (each for each in self._found[self._positions[id(group)]] if each[0].role in roles)

    def _matrix(self, group: Group, value: np.ndarray, cut: Cut, positions: np.ndarray) -> np.ndarray:
        ranks = self._rank[self._plan.units[cut.channels[positions]]]
        order = np.argsort(ranks, kind="stable")
        ranks, rows = ranks[order], value[positions[order]].reshape(len(order), -1)
        times = np.bincount(ranks, minlength=len(group.units))
        place = np.arange(len(ranks)) - np.repeat(np.cumsum(times) - times, times)
        found = np.zeros((len(group.units), int(times.max()), rows.shape[1]), rows.dtype)
        found[ranks, place] = rows
        return found.reshape(len(group.units), -1)
