"""Agreement beyond chance of labels and predictions: Matthews's correlation and Cohen's kappa."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfkit_metrics.averaged import ClassCounts
from tfkit_metrics.averages import Counts, ratio


class Agreement(ClassCounts):
    """A number made of all classes' counts together.

    Args:
        zero_division: The result where it is 0 / 0: labels, or predictions, are all of one class.
        **classification: As `tfkit_metrics.base.Classification`.
    """

    def __init__(self, *, zero_division: float = 0.0, **classification: Any) -> None:
        super().__init__(**classification)
        self.zero_division = zero_division

    def agreement(self, counts: Counts) -> tuple[tf.Tensor, tf.Tensor]:
        """Numerator and denominator, of the counts as shares of the whole."""
        raise NotImplementedError

    def result(self) -> tf.Tensor:
        counts = self.class_counts()
        total = tf.reduce_sum(counts.actual)
        shares = Counts(*(tf.math.divide_no_nan(each, total) for each in counts))
        numerator, denominator = self.agreement(shares)
        # What is left of 1 - 1 after rounding is no disagreement.
        denominator = tf.where(tf.abs(denominator) < _ROUNDING, tf.zeros_like(denominator), denominator)
        return tf.cast(ratio(numerator, denominator, self.zero_division), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "zero_division": self.zero_division}


_ROUNDING = 1e-15


@keras.saving.register_keras_serializable(package="tfkit")
class Mcc(Agreement):
    """Matthews's correlation of labels and predictions, for any number of classes (Gorodkin 2004); from -1 to 1.

    Arguments as `Agreement`.

    Example:
        >>> round(float(Mcc()(y_true=[0, 0, 1, 1], y_pred=[0.2, 0.6, 0.7, 0.9])), 4)
        0.5774
    """

    def agreement(self, counts: Counts) -> tuple[tf.Tensor, tf.Tensor]:
        expected = tf.reduce_sum(counts.actual * counts.predicted)
        # 1 - Σ share² as a sum of positive terms: where one class has nearly all, 1 - 1 would lose the rest.
        # A share of all weights may come out above 1 by its rounding.
        spreads = (tf.reduce_sum(each * tf.maximum(1 - each, 0)) for each in (counts.actual, counts.predicted))
        actual, predicted = spreads
        return tf.reduce_sum(counts.hits) - expected, tf.sqrt(actual) * tf.sqrt(predicted)


@keras.saving.register_keras_serializable(package="tfkit")
class CohenKappa(Agreement):
    """Agreement beyond what the classes' shares alone make likely (Cohen 1960); at most 1. Arguments as `Agreement`.

    Example:
        >>> round(float(CohenKappa()(y_true=[0, 0, 1, 1], y_pred=[0.2, 0.6, 0.7, 0.9])), 4)
        0.5
    """

    def agreement(self, counts: Counts) -> tuple[tf.Tensor, tf.Tensor]:
        expected = tf.reduce_sum(counts.actual * counts.predicted)
        return tf.reduce_sum(counts.hits) - expected, tf.reduce_sum(counts.actual * (1 - counts.predicted))
