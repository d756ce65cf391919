"""Pure functions: scores from the counts of each class, and one number from the scores. Float64 throughout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf


class Counts(NamedTuple):
    """Weights summed for each class, float64 (classes,).

    Attributes:
        hits: Of rows of the class that were predicted as it.
        predicted: Of rows predicted as the class.
        actual: Of rows of the class.
        seen: Number of rows of the class or predicted as it, whatever their weight.
    """

    hits: Any
    predicted: Any
    actual: Any
    seen: Any


Score = Callable[[Counts], tf.Tensor]


def ratio(numerator: Any, denominator: Any, zero_division: float) -> tf.Tensor:
    """numerator / denominator, and `zero_division` where that is 0 / 0.

    Example:
        >>> ratio([1.0, 0.0], [2.0, 0.0], 1.0).numpy().tolist()
        [0.5, 1.0]
    """
    quotient = tf.math.divide_no_nan(numerator, denominator)
    return tf.where(tf.equal(denominator, 0), tf.cast(zero_division, quotient.dtype), quotient)


def micro(score: Score, counts: Counts) -> tf.Tensor:
    """The score of all classes' counts together."""
    return score(Counts(*(tf.reduce_sum(each) for each in counts)))


def macro(score: Score, counts: Counts) -> tf.Tensor:
    """The mean score of the classes seen in labels or predictions."""
    return _mean(score(counts), tf.cast(tf.greater(counts.seen, 0), tf.float64))


def weighted(score: Score, counts: Counts) -> tf.Tensor:
    """The mean score, each class weighing what its rows weigh; all alike where none weighs anything."""
    seen = tf.cast(tf.greater(counts.seen, 0), tf.float64)
    return _mean(score(counts), tf.where(tf.reduce_sum(counts.actual) > 0, counts.actual, seen))


def binary(score: Score, counts: Counts) -> tf.Tensor:
    """The score of class 1."""
    return score(counts)[1]


def each(score: Score, counts: Counts) -> tf.Tensor:
    """The score of each class."""
    return score(counts)


AVERAGES: dict[str | None, Callable[[Score, Counts], tf.Tensor]] = {
    "micro": micro,
    "macro": macro,
    "weighted": weighted,
    "binary": binary,
    None: each,
}


def _mean(scores: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return ratio(tf.reduce_sum(scores * weights), tf.reduce_sum(weights), 0.0)
