"""Pure functions: means, variances and covariance of two columns, batch by batch, without losing figures.

Chan, Golub and LeVeque (1983): batches are merged by their means and by the squares about them. Sums of squares,
the shorter way, lose as many figures as the mean is larger than the spread.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf

from tfkit_metrics.inputs import row_count


class Moments(NamedTuple):
    """Of pairs (x, y), float64 (outputs,) each.

    Attributes:
        rows: Number of rows that weigh anything.
        weight: Their weight.
        mean_x: Mean of x.
        mean_y: Mean of y.
        spread_x: Sum of squares of x about its mean.
        spread_y: Sum of squares of y about its mean.
        together: Sum of products of x and y about their means.
    """

    rows: tf.Tensor
    weight: tf.Tensor
    mean_x: tf.Tensor
    mean_y: tf.Tensor
    spread_x: tf.Tensor
    spread_y: tf.Tensor
    together: tf.Tensor


def products(x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Products of two columns by weight, summed over the rows.

    Args:
        x: Float64 (m, outputs).
        y: Float64 (m, outputs).
        weights: Float64 (m, 1); None where all are 1.

    Returns:
        Float64 (outputs,).

    Example:
        >>> products(tf.constant([[1.0], [3.0]]), tf.constant([[2.0], [4.0]]), None).numpy().tolist()
        [14.0]
    """
    y = y if weights is None else y * weights
    if x.shape[-1] != 1:
        return tf.reduce_sum(x * y, 0)
    # Of one column it is a product of matrices, which keeps nothing.
    return tf.matmul(x, y, transpose_a=True)[0]


def total_weight(x: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """The weight of the rows of x, (m, outputs); their number where weights are None."""
    return tf.cast(row_count(x), x.dtype) if weights is None else tf.reduce_sum(weights)


def moments(x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor | None) -> Moments:
    """Moments of a batch.

    Args:
        x: Float64 (m, outputs).
        y: Float64 (m, outputs).
        weights: Float64 (m, 1); None where all are 1.

    Example:
        >>> found = moments(tf.constant([[1.0], [3.0]]), tf.constant([[0.0], [4.0]]), None)
        >>> [float(each[0]) for each in found]
        [2.0, 2.0, 2.0, 2.0, 2.0, 8.0, 4.0]
    """
    weight = total_weight(x, weights)
    rows = weight if weights is None else tf.math.count_nonzero(weights, dtype=weights.dtype)
    sums = (tf.reduce_sum(each if weights is None else each * weights, 0) for each in (x, y))
    mean_x, mean_y = (tf.math.divide_no_nan(each, weight) for each in sums)
    x, y = x - mean_x, y - mean_y
    squares = (products(one, other, weights) for one, other in ((x, x), (y, y), (x, y)))
    return Moments(*(each + tf.zeros_like(mean_x) for each in (rows, weight, mean_x, mean_y, *squares)))


def merged(one: Moments, other: Moments) -> Moments:
    """Moments of the rows of both.

    Example:
        >>> x, weights = tf.constant([[1.0], [2.0], [6.0]]), tf.ones((3, 1))
        >>> both = merged(moments(x[:1], x[:1], weights[:1]), moments(x[1:], x[1:], weights[1:]))
        >>> float(both.mean_x[0]), float(both.spread_x[0])
        (3.0, 14.0)
    """
    weight = one.weight + other.weight
    share = tf.math.divide_no_nan(other.weight, weight)
    far_x, far_y = other.mean_x - one.mean_x, other.mean_y - one.mean_y
    common = one.weight * share
    return Moments(
        one.rows + other.rows,
        weight,
        one.mean_x + far_x * share,
        one.mean_y + far_y * share,
        one.spread_x + other.spread_x + far_x * far_x * common,
        one.spread_y + other.spread_y + far_y * far_y * common,
        one.together + other.together + far_x * far_y * common,
    )


def merge_all(table: tf.Tensor) -> Moments:
    """Moments of several parts, float64 (parts, 7, outputs); a part without rows is of zeros."""
    return functools.reduce(merged, (Moments(*tf.unstack(part)) for part in tf.unstack(table)))


def without_noise(spread: tf.Tensor, mean: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The spread, 0 where it is what rounding makes of equal numbers."""
    noise = weight * tf.square(64 * 2.0**-52 * mean)
    return tf.where(spread <= noise, tf.zeros_like(spread), spread)
