"""Accuracy and balanced accuracy."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfkit_metrics.averaged import ClassCounts
from tfkit_metrics.averages import ratio
from tfkit_metrics.base import Classification
from tfkit_metrics.inputs import Batch


@keras.saving.register_keras_serializable(package="tfkit")
class Accuracy(Classification):
    """Share of rows whose prediction is right; of a multi-label task, right in every label.

    Arguments as `tfkit_metrics.base.Classification`.

    Example:
        >>> round(float(Accuracy()(y_true=[[0], [1], [1]], y_pred=[[0.2], [0.8], [0.4]])), 4)
        0.6667
    """

    def create_state(self, classes: int) -> None:
        self.right = self.counts("right", ())
        self.total = self.counts("total", ())

    def add(self, batch: Batch) -> None:
        self.right.assign_add(batch.right() + batch.doubt)
        self.total.assign_add(batch.total())

    def result(self) -> tf.Tensor:
        if self.classes is None:
            return tf.zeros((), self.dtype)
        return tf.cast(ratio(self.right, self.total, 0.0), self.dtype)


@keras.saving.register_keras_serializable(package="tfkit")
class BalancedAccuracy(ClassCounts):
    """Mean of the recalls of the classes that occur in the labels. Arguments as `Classification`.

    Example:
        >>> metric = BalancedAccuracy(num_classes=3)
        >>> round(float(metric(y_true=[0, 0, 0, 1], y_pred=[0, 0, 0, 2])), 4)
        0.5
    """

    def result(self) -> tf.Tensor:
        counts = self.class_counts()
        occurs = tf.cast(tf.not_equal(counts.actual, 0), tf.float64)
        recalls = ratio(counts.hits, counts.actual, 0.0)
        return tf.cast(ratio(tf.reduce_sum(recalls * occurs), tf.reduce_sum(occurs), 0.0), self.dtype)
