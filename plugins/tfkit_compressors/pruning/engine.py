"""TFMOT's pruning engine with a faster way to the same threshold."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from tfkit_compressors import tfmot


@functools.cache
def engine() -> type:
    """A subclass of TFMOT's `Pruning` whose masks are equal, ties included, and come without a sort.

    TFMOT sorts all magnitudes to read one; that costs more than many training steps, most of all
    compiled by XLA: 128 ms for 400,000 values against 8 ms here, on a CPU.
    """

    class Engine(tfmot.pruning()[0].Pruning):
        def _update_mask(self, weights: Any) -> tuple[Any, Any]:
            if weights.dtype == tf.float64:
                return super()._update_mask(weights)
            sparsity = self._pruning_schedule(self._step_fn())[1]
            magnitudes = tf.abs(tf.cast(weights, tf.float32))
            kept = tf.cast(tf.maximum(tf.round(tf.cast(tf.size(magnitudes), tf.float32) * (1 - sparsity)), 1), tf.int32)
            threshold = kth_largest(magnitudes, kept)
            return tf.cast(threshold, weights.dtype), tf.cast(magnitudes >= threshold, weights.dtype)

    return Engine


def kth_largest(magnitudes: Any, k: Any) -> Any:
    """The k-th largest of values that are not negative, by bisection over their bits.

    Args:
        magnitudes: Float32 tensor of any shape, no value below 0.
        k: Int32 scalar, from 1 to the number of values.

    Returns:
        Float32 scalar, one of the values.

    Example:
        >>> float(kth_largest(tf.constant([0.5, 3.0, 0.0, 2.0]), tf.constant(2)))
        2.0
    """
    # Floats that are not negative are ordered as their bits are, read as integers.
    bits = tf.bitcast(magnitudes, tf.int32)

    def settle(bit: Any, found: Any) -> tuple[Any, Any]:
        higher = tf.bitwise.bitwise_or(found, tf.bitwise.left_shift(1, bit))
        enough = tf.reduce_sum(tf.cast(bits >= higher, tf.int32)) >= k
        return bit - 1, tf.where(enough, higher, found)

    found = tf.while_loop(
        lambda bit, found: bit >= 0, settle, (tf.constant(30), tf.constant(0)), maximum_iterations=31
    )[1]
    return tf.bitcast(found, tf.float32)
