"""How two versions' answers to the same request are compared: by class, by value, row by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfkit_serving.routing.classes import Classes, row_classes
from tfkit_serving.servables.framing import Packed

Arrays = Mapping[str, np.ndarray]

# Values that differ by less, relatively, agree: another version's arithmetic is not bit for bit the same.
_TOLERANCE, _LEAST = 1e-3, 1e-6


def agreeing(
    outputs: Arrays, others: Arrays, classes: Classes | None = None, other_classes: Classes | None = None
) -> np.ndarray:
    """Which rows of two answers say the same.

    Classifiers agree on a row if both give it the same class, whatever the score. Other outputs agree if they have
    the same names, dtypes and shapes, equal strings and whole numbers, and floating numbers within a thousandth.

    Args:
        outputs: The answer, by output.
        others: The other version's.
        classes: How to read classes off the outputs; None where they are no classifier's.
        other_classes: The same of the other version.

    Returns:
        A boolean a row; one for the whole where the outputs have no rows in common.

    Example:
        >>> agreeing({"y": np.array([1.0, 2.0])}, {"y": np.array([1.0, 2.1])}).tolist()
        [True, False]
    """
    count = rows(outputs)
    found, other = row_classes(outputs, classes), row_classes(others, other_classes)
    if found is not None or other is not None:
        outputs, others = ({} if each is None else {"class": each} for each in (found, other))
    if outputs.keys() != others.keys():
        return np.full(count, False)
    same = np.full(count, True)
    for name, array in outputs.items():
        same &= _agreeing(array, others[name], count)
    return same


def rows(arrays: Arrays) -> int:
    """How many rows arrays have in common; 1 where they have none.

    Example:
        >>> rows({"x": np.zeros((3, 2)), "y": np.zeros(3)}), rows({"x": np.zeros(3), "y": np.zeros(())})
        (3, 1)
    """
    if type(arrays) is Packed:
        shapes = [shape for *_, shape in arrays.table]
    else:
        shapes = [each.shape for each in arrays.values()]
    lengths = {shape[0] if len(shape) else 0 for shape in shapes}
    return max(1, lengths.pop()) if len(lengths) == 1 else 1


def near(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Which numbers of two arrays of one shape are within a thousandth of each other; NaN is near NaN.

    Example:
        >>> near(np.array([1.0, 1.0, np.nan]), np.array([1.0009, 1.1, np.nan])).tolist()
        [True, False, True]
    """
    return np.isclose(one, two, rtol=_TOLERANCE, atol=_LEAST, equal_nan=True)


def _agreeing(one: np.ndarray, two: np.ndarray, count: int) -> np.ndarray:
    if one.shape != two.shape or one.dtype != two.dtype:
        return np.full(count, False)
    equal: np.ndarray = np.asarray(one == two)
    if one.dtype.kind not in "OSUbiu" and not equal.all():
        equal = near(one, two)
    return np.asarray(np.reshape(equal, (count, -1)).all(axis=1))
