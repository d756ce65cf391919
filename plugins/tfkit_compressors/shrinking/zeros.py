"""zero_units: units that are zero already, which go before any other."""

from __future__ import annotations

import numpy as np

from tfkit import Data
from tfkit_compressors.shrinking.importance import array
from tfkit_compressors.shrinking.observed import observed
from tfkit_compressors.shrinking.parts import Parts
from tfkit_compressors.shrinking.plan import Group, Plan

_ROWS = 32


def zero_units(plan: Plan, parts: Parts, data: Data) -> np.ndarray:
    """Which units reach nothing, by their number.

    A unit is zero if no weight reads it with anything but 0. It is zero too if the weights that make it,
    or the BatchNormalizations on its way, are all 0 and its values are 0 on rows of the train part:
    an offset or an activation such as sigmoid may turn zeros into something else.
    """
    certain: np.ndarray = np.zeros(len(plan.units), bool)
    likely = certain.copy()
    for group in plan.free:
        certain[group.units] = _all_zero(parts, group, "takes")
        likely[group.units] = _all_zero(parts, group, "makes") | _scaled_to_zero(parts, group)
    if not (likely & ~certain).any():
        return certain
    largest = observed(plan, data, _ROWS)[1]
    return certain | (likely & ~(largest > 0))


def _all_zero(parts: Parts, group: Group, role: str, names: tuple[str, ...] = ()) -> np.ndarray:
    matrices = parts.rows(group, array, role, names=names)
    if not matrices:
        return np.zeros(len(group.units), bool)
    return np.all([(each == 0).all(axis=1) for each in matrices], axis=0)


def _scaled_to_zero(parts: Parts, group: Group) -> np.ndarray:
    return _all_zero(parts, group, "carries", ("gamma", "beta"))
