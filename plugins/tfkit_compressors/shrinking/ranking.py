"""Ranking: the units of each group in the order in which they go, and how many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tfkit import Data
from tfkit_compressors.shrinking.importance import Importances, Own
from tfkit_compressors.shrinking.parts import Parts
from tfkit_compressors.shrinking.plan import Group, Plan
from tfkit_compressors.shrinking.zeros import zero_units


class Ranking:
    """The units of a plan's free groups, those that go first at the front.

    Args:
        plan: The plan.
        importance: What units are worth, see `Importances`.
        data: The train part is read for some importances, and where units may be zero already.
        multiple_of: What counts of units that stay are kept a multiple of.

    Attributes:
        notes: What was ranked otherwise.
    """

    def __init__(self, plan: Plan, importance: str | Own, data: Data, *, multiple_of: int = 1) -> None:
        self.plan = plan
        self._multiple = multiple_of
        parts = Parts(plan)
        importances = Importances(plan, parts, importance, data)
        zero = zero_units(plan, parts, data)
        self._scores = {group: np.where(zero[group.units], -np.inf, importances.of(group)) for group in plan.free}
        self.notes = importances.notes

    def cut(self, ratio: float) -> Plan:
        """The plan that removes a share of each group.

        Args:
            ratio: The share, from 0 to below 1; rounded to whole units, one stays at least.
        """
        return self._without({group: round(ratio * len(group.units)) for group in self.plan.free})

    def cut_globally(self, count: int, ratio: float) -> Plan:
        """The plan that removes the units that are worth least in the whole model.

        Scores of different groups are compared after division by their group's mean.

        Args:
            count: How many of them.
            ratio: Largest share that any group loses.
        """
        scores = np.concatenate([_relative(self._scores[group]) for group in self.plan.free])
        owners: np.ndarray = np.repeat(np.arange(len(self.plan.free)), [len(group.units) for group in self.plan.free])
        gone = np.bincount(owners[np.argsort(scores, kind="stable")[:count]], minlength=len(self.plan.free))
        most = [round(ratio * len(group.units)) for group in self.plan.free]
        return self._without({group: min(int(each), limit) for group, each, limit in zip(self.plan.free, gone, most)})

    def _without(self, counts: Mapping[Group, int]) -> Plan:
        """The plan that removes so many units of each group, or fewer: one stays, and what stays is a multiple."""
        asked = self._least({group: min(count, len(group.units) - 1) for group, count in counts.items()})
        given = self._least({group: self._rounded(group, count) for group, count in asked.items()})
        plan = self.plan.without(int(unit) for group, count in given.items() for unit in self._first(group)[:count])
        return replace(plan, rounded=tuple(group.name for group in asked if asked[group] and not given[group]))

    def _rounded(self, group: Group, removed: int) -> int:
        """How many go so that a multiple stays, which is rounded up: no more than were asked for."""
        kept = -(-(len(group.units) - removed) // self._multiple) * self._multiple
        return len(group.units) - min(len(group.units), kept)

    def _least(self, counts: Mapping[Group, int]) -> dict[Group, int]:
        """For each group the least count in its family."""
        least: dict[int, int] = {}
        for group, count in counts.items():
            least[group.family] = min(count, least.get(group.family, count))
        return {group: least[group.family] for group in counts}

    def _first(self, group: Group) -> np.ndarray:
        """The units of a group, those that go first at the front."""
        return group.units[np.argsort(self._scores[group], kind="stable")]


def _relative(scores: np.ndarray) -> np.ndarray:
    finite = scores[np.isfinite(scores)]
    mean = finite.mean() if len(finite) else 1.0
    return scores / mean if mean > 0 else scores
