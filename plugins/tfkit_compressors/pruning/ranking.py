"""Masks from magnitudes ranked over several kernels, or over the units of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfkit_compressors.pruning.engine import kth_largest


def global_masks(values: Sequence[Any], sparsity: Any) -> list[Any]:
    """True where a value is among the largest of all: one threshold for several kernels.

    Args:
        values: Tensors of any shapes.
        sparsity: Share of all values that is to be False.

    Example:
        >>> masks = global_masks([tf.constant([3.0, -1.0]), tf.constant([[0.5, -4.0]])], 0.5)
        >>> [mask.numpy().tolist() for mask in masks]
        [[True, False], [[False, True]]]
    """
    magnitudes = [tf.abs(tf.cast(value, tf.float32)) for value in values]
    together = tf.concat([tf.reshape(each, [-1]) for each in magnitudes], 0)
    threshold = kth_largest(together, _kept(together, sparsity))
    return [each >= threshold for each in magnitudes]


def unit_mask(value: Any, sparsity: Any) -> Any:
    """True in the units whose weights have the largest Euclidean norm; a unit lies along the last axis.

    Args:
        value: Tensor of 2 dimensions or more.
        sparsity: Share of the units that is to be False.

    Example:
        >>> unit_mask(tf.constant([[3.0, 1.0], [0.0, 2.0]]), 0.5).numpy().tolist()
        [[True, False], [True, False]]
    """
    weights = tf.cast(value, tf.float32)
    norms = tf.sqrt(tf.reduce_sum(weights * weights, axis=tuple(range(weights.shape.rank - 1))))
    return tf.broadcast_to(norms >= kth_largest(norms, _kept(norms, sparsity)), tf.shape(weights))


def _kept(values: Any, sparsity: Any) -> Any:
    """How many stay: as TFMOT counts, one at least."""
    return tf.cast(tf.maximum(tf.round(tf.cast(tf.size(values), tf.float32) * (1 - sparsity)), 1), tf.int32)
