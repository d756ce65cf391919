"""What is wrong with a batch: an error that names it where it can be seen, a NaN where it cannot."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfkit.errors import DataError


def doubt(valid: tf.Tensor, values: tf.Tensor, wanted: str) -> tf.Tensor:
    """Refuses values that are not valid.

    Args:
        valid: Bool (m,).
        values: Number (m,), shown in the error.
        wanted: What they should be, for the error's text.

    Returns:
        Float64 scalar to add to every count: 0, or NaN under XLA, which drops assertions.

    Raises:
        DataError: When run eagerly; a graph raises TensorFlow's InvalidArgumentError.
    """
    all_valid = tf.reduce_all(valid)
    if not tf.executing_eagerly():
        span = (tf.reduce_min(values), tf.reduce_max(values))
        tf.debugging.Assert(all_valid, [f"{wanted}; the lowest and the highest are", *span])
    elif not all_valid:
        row = int(tf.argmin(tf.cast(valid, tf.int32)))
        raise DataError(f"{wanted}; row {row} of the batch has {values[row].numpy()}")
    return _nan_unless(all_valid)


def out_of_range(values: tf.Tensor, low: float, high: float, wanted: str) -> tf.Tensor | float:
    """As `doubt`, of values (m,) or (m, columns) below low ≤ 0 or above high; NaN is neither.

    One pass that keeps nothing, where `doubt` takes a column of bool: which row it is, is asked only of a bad batch.
    """
    if surely_within(values, high):
        return 0.0
    lowest, highest = tf.reduce_min(values), tf.reduce_max(values)
    good = ~((lowest < low) | (highest > high))
    if not tf.executing_eagerly():
        tf.debugging.Assert(good, [f"{wanted}; the lowest and the highest are", lowest, highest])
    elif not good:
        rows = tf.reshape(values, (tf.shape(values)[0], -1))
        least, most = tf.reduce_min(rows, -1), tf.reduce_max(rows, -1)
        return doubt(~((least < low) | (most > high)), tf.where(least < low, least, most), wanted)
    return _nan_unless(good)


def surely_within(values: tf.Tensor, high: float) -> bool:
    """Whether all values are seen to be from 0 to high; not in a graph, nor where one is -0.0.

    Read as unsigned integers, numbers and floats from 0 on keep their order, and what is negative or NaN is above them.
    """
    if not tf.executing_eagerly():
        return False
    unsigned = tf.as_dtype(f"uint{8 * values.dtype.size}")
    bound = np.asarray(high, values.dtype.as_numpy_dtype).view(unsigned.as_numpy_dtype)
    if values.dtype.is_integer and on_host(values):
        return bool(np.max(np.asarray(values).view(bound.dtype), initial=0) <= bound)
    return bool(tf.reduce_max(tf.bitcast(values, unsigned)) <= tf.constant(bound))


def on_host(tensor: tf.Tensor) -> bool:
    """Whether numpy can read a tensor where it lies: on a column of ids it takes a third of TensorFlow's time."""
    return tf.executing_eagerly() and "CPU" in tensor.device


def not_a_number(scores: tf.Tensor, present: tf.Tensor | None) -> tf.Tensor:
    """As `doubt`, without an error: NaN where scores (m, columns) hold one in a row that is present.

    A model that has diverged scores NaN, and its training goes on as with Keras's own metrics.
    """

    def found() -> tf.Tensor:
        rows = tf.reduce_any(tf.math.is_nan(scores), axis=-1)
        return tf.reduce_any(rows if present is None else rows & present)

    # A sum is NaN where a term is, or where infinities cancel; it is quicker than to ask each term.
    return _nan_unless(~tf.cond(tf.math.is_nan(tf.reduce_sum(scores)), found, lambda: tf.constant(False)))


def plus(counts: tf.Tensor, doubts: tf.Tensor | float) -> tf.Tensor:
    """Counts and a doubt, without the pass over a large table where the doubt is seen to be 0."""
    return counts if tf.executing_eagerly() and float(doubts) == 0 else counts + doubts


def _nan_unless(good: tf.Tensor) -> tf.Tensor:
    return tf.where(good, tf.constant(0.0, tf.float64), math.nan)
