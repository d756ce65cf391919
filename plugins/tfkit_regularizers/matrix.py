"""A kernel of any layer as a matrix: a column for each unit or filter."""

from __future__ import annotations

from typing import Any

import keras


def as_matrix(weights: Any) -> Any:
    """A kernel as shape (inputs of a unit, units): all axes but the last in one.

    Example:
        >>> tuple(as_matrix(keras.ops.zeros((3, 3, 8, 16))).shape)
        (72, 16)
    """
    return keras.ops.reshape(weights, (-1, weights.shape[-1]))
