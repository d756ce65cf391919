"""observed: what units compute, where other weights read them."""

from __future__ import annotations

import keras
import numpy as np

from tfkit import Data
from tfkit.replay import flat_inputs, values
from tfkit_compressors.shrinking.plan import Plan


def observed(plan: Plan, data: Data, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the largest magnitude of each unit's values on rows of the train part.

    Args:
        plan: The plan; its model computes.
        data: The data; rows are drawn from the whole train part.
        rows: Rows that are computed.

    Returns:
        Two arrays by the unit's number; NaN for units that no weight reads from a tensor, such as heads.
    """
    count = len(plan.units)
    sums, times, largest = np.zeros(count), np.zeros(count), np.full(count, np.nan)
    wanted = set(plan.trace.read)
    for tensor, value in values(plan.trace.graph, flat_inputs(plan.model, data.drawn("train", rows))):
        labels = plan.trace.labels[tensor]
        if tensor not in wanted or labels is None:
            continue
        magnitudes = np.abs(keras.ops.convert_to_numpy(value).astype("float64"))
        lines = np.moveaxis(magnitudes, labels.axis, 0).reshape(len(labels.channels), -1)
        units = plan.units[labels.channels]
        np.add.at(sums, units, lines.mean(axis=1))
        np.add.at(times, units, 1)
        np.fmax.at(largest, units, lines.max(axis=1))
    with np.errstate(invalid="ignore"):
        return sums / times, largest
