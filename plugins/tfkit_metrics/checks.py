"""What is wrong with a batch: an error that names it where it can be seen, a NaN where it cannot."""

from __future__ import annotations

import math

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


def out_of_range(values: tf.Tensor, low: float, high: float, wanted: str) -> tf.Tensor:
    """As `doubt`, of values (m,) or (m, columns) below low or above high; NaN is neither.

    Two passes that keep nothing, where `doubt` takes a column of bool: which row it is, is asked only of a bad batch.
    """
    lowest, highest = tf.reduce_min(values), tf.reduce_max(values)
    good = ~((lowest < low) | (highest > high))
    if not tf.executing_eagerly():
        tf.debugging.Assert(good, [f"{wanted}; the lowest and the highest are", lowest, highest])
    elif not good:
        rows = tf.reshape(values, (tf.shape(values)[0], -1))
        least, most = tf.reduce_min(rows, -1), tf.reduce_max(rows, -1)
        return doubt(~((least < low) | (most > high)), tf.where(least < low, least, most), wanted)
    return _nan_unless(good)


def not_a_number(scores: tf.Tensor, present: tf.Tensor | None) -> tf.Tensor:
    """As `doubt`, without an error: NaN where scores (m, columns) hold one in a row that is present.

    A model that has diverged scores NaN, and its training goes on as with Keras's own metrics.
    """

    def found() -> tf.Tensor:
        rows = tf.reduce_any(tf.math.is_nan(scores), axis=-1)
        return tf.reduce_any(rows if present is None else rows & present)

    # A sum is NaN where a term is, or where infinities cancel; it is quicker than to ask each term.
    return _nan_unless(~tf.cond(tf.math.is_nan(tf.reduce_sum(scores)), found, lambda: tf.constant(False)))


def _nan_unless(good: tf.Tensor) -> tf.Tensor:
    return tf.where(good, tf.constant(0.0, tf.float64), math.nan)
