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


def not_a_number(scores: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """As `doubt`, without an error: NaN where scores (m, columns) hold one in a row that is present.

    A model that has diverged scores NaN, and its training goes on as with Keras's own metrics.
    """
    found = tf.reduce_any(tf.math.is_nan(scores), axis=-1) & present
    return _nan_unless(~tf.reduce_any(found))


def _nan_unless(good: tf.Tensor) -> tf.Tensor:
    return tf.where(good, tf.constant(0.0, tf.float64), math.nan)
