"""Pure functions of histograms of scores: areas under curves in fixed memory, and how wrong they may be."""

from __future__ import annotations

import tensorflow as tf

# Odds of e^-32 and below, a probability of 1e-14, share a bin, and so do those of e^32 and above.
_REACH = 32.0


def bin_of(chances: tf.Tensor, bins: int) -> tf.Tensor:
    """The bin of probabilities, int32: bins are of equal width in log-odds, so they are as fine near 0 and 1.

    Example:
        >>> bin_of(tf.constant([0.0, 0.001, 0.01, 0.5, 1.0]), 1000).numpy().tolist()
        [0, 392, 428, 500, 999]
    """
    chances = tf.cast(chances, tf.float64)
    odds = tf.math.log(chances) - tf.math.log1p(-chances)
    place = (tf.clip_by_value(odds, -_REACH, _REACH) + _REACH) * (bins / (2 * _REACH))
    return tf.clip_by_value(tf.cast(place, tf.int32), 0, bins - 1)


def roc_auc(positive: tf.Tensor, negative: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Area under the ROC curve where the scores of a bin count as equal, and by how much it may be wrong.

    Pairs of rows that share a bin count half, whichever is higher: the error is at most half of their share.

    Args:
        positive: Weight of positive rows, float64 (…, bins).
        negative: Weight of negative rows, the same shape.

    Returns:
        Two of shape (…); NaN where there are no positive rows, or no negative.
    """
    below = tf.cumsum(negative, axis=-1, exclusive=True)
    pairs = tf.reduce_sum(positive, -1) * tf.reduce_sum(negative, -1)
    shared = tf.reduce_sum(positive * negative, -1) / 2
    return (tf.reduce_sum(positive * below, -1) + shared) / pairs, shared / pairs


def average_precision(positive: tf.Tensor, negative: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Average precision where the scores of a bin count as equal, and by how much it may be wrong.

    The precision at a positive row of a bin lies between that of the rows above the bin with all its negatives,
    and that with all its positives and none of its negatives. Arguments and shapes as `roc_auc`; 0 where there
    are no positive rows.
    """
    hits = tf.cumsum(positive, axis=-1, exclusive=True, reverse=True)
    misses = tf.cumsum(negative, axis=-1, exclusive=True, reverse=True)
    precision = _share(hits + positive, misses + negative)
    highest, lowest = _share(hits + positive, misses), _share(hits, misses + negative)
    mass = tf.reduce_sum(positive, -1)
    found, above, under = (
        tf.math.divide_no_nan(tf.reduce_sum(positive * each, -1), mass) for each in (precision, highest, lowest)
    )
    return found, tf.maximum(above - found, found - under)


def _share(hits: tf.Tensor, misses: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(hits, hits + misses)
