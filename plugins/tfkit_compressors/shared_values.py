"""Which zeros of a kernel are somebody's work, and how the weights of a cluster share a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

# Fewer zeros than this share are chance.
_LEAST = 0.01


def is_sparse(value: np.ndarray) -> bool:
    """Whether a kernel was pruned: one weight in a hundred is zero or more, and not all, as before training.

    Example:
        >>> is_sparse(np.array([0.0, 1.0])), is_sparse(np.zeros(2)), is_sparse(np.ones(2))
        (True, False, False)
    """
    return bool(_LEAST <= (value == 0).mean() < 1)


def shared_means(value: Any, members: Any, count: int) -> Any:
    """The value with each weight replaced by the mean of its cluster.

    Args:
        value: Tensor of any shape and floating dtype, which stay.
        members: The cluster of each weight, from 0, int32, flat.
        count: The number of clusters.

    Example:
        >>> shared_means(tf.constant([[1.0, 3.0], [5.0, 5.0]]), [0, 0, 1, 1], 2).numpy().tolist()
        [[2.0, 2.0], [5.0, 5.0]]
    """
    # The mean of equal numbers is that number in float64 alone; in float32 it would drift from step to step.
    wide = tf.cast(tf.reshape(value, [-1]), tf.float64)
    means = tf.math.unsorted_segment_mean(wide, members, count)
    return tf.reshape(tf.gather(tf.cast(means, value.dtype), members), tf.shape(value))
