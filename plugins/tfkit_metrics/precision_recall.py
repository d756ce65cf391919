"""Precision and recall."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfkit_metrics.averaged import Averaged
from tfkit_metrics.averages import Counts, ratio


@keras.saving.register_keras_serializable(package="tfkit")
class Precision(Averaged):
    """Share of the rows predicted as a class that are of it. Arguments as `Averaged`.

    Example:
        >>> metric = Precision(average=None, num_classes=3)
        >>> metric(y_true=[0, 1, 2], y_pred=[0, 2, 2]).numpy().tolist()
        [1.0, 0.0, 0.5]
    """

    def score(self, counts: Counts) -> tf.Tensor:
        return ratio(counts.hits, counts.predicted, self.zero_division)


@keras.saving.register_keras_serializable(package="tfkit")
class Recall(Averaged):
    """Share of the rows of a class that were predicted as it. Arguments as `Averaged`.

    Example:
        >>> metric = Recall(average=None, num_classes=3)
        >>> metric(y_true=[0, 1, 2], y_pred=[0, 2, 2]).numpy().tolist()
        [1.0, 0.0, 1.0]
    """

    def score(self, counts: Counts) -> tf.Tensor:
        return ratio(counts.hits, counts.actual, self.zero_division)
