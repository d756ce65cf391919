"""Expected calibration error."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit_metrics.base import by_class
from tfkit_metrics.class_scores import Probabilistic
from tfkit_metrics.inputs import Batch, seen


@keras.saving.register_keras_serializable(package="tfkit")
class CalibrationError(Probabilistic):
    """How far confidence is from accuracy, in bins of confidence, weighed by their rows (Guo et al. 2017).

    Confidence is the probability of the top class; bins are of equal width, (0, 1/bins] and so on, and confidence 0
    is in the first. Of a multi-label task each label is a decision of its own. Less is better.

    Args:
        bins: Number of bins.
        **classification: As `tfkit_metrics.base.Classification`; `threshold` changes nothing.

    Example:
        >>> round(float(CalibrationError()(y_true=[0, 1, 1], y_pred=[0.1, 0.9, 0.6])), 4)
        0.2
    """

    direction = "down"

    def __init__(self, *, bins: int = 15, **classification: Any) -> None:
        self.bins = bins
        super().__init__(**classification)

    def create_state(self, classes: int) -> None:
        # Weight, confidence and hits of each bin.
        self.table = self.counts("table", (3, self.bins))

    def add(self, batch: Batch) -> None:
        confidence, right, weights = self._decisions(batch)
        edges = tf.constant(np.linspace(0, 1, self.bins + 1)[1:-1])
        bins = tf.searchsorted(edges, confidence, side="left")
        columns = (weights, weights * confidence, tf.where(right, weights, 0.0))
        self.table.assign_add(tf.stack([by_class(column, bins, self.bins) for column in columns]) + batch.doubt)

    def _decisions(self, batch: Batch) -> tuple[tf.Tensor, ...]:
        chances = seen(batch.predictions, batch.present)
        weights, labels = batch.weights, batch.labels
        if self.form.multi_label or chances.shape[-1] == 1:
            predicted = chances > 0.5
            right = tf.equal(predicted, tf.cast(tf.reshape(labels, tf.shape(chances)), tf.bool))
            confidence = tf.where(predicted, chances, 1 - chances)
            weights = tf.broadcast_to(weights[:, None], tf.shape(chances))
        else:
            confidence = tf.reduce_max(chances, axis=-1)
            right = tf.equal(tf.argmax(chances, axis=-1, output_type=tf.int32), labels)
        return tuple(tf.reshape(each, (-1,)) for each in (tf.cast(confidence, tf.float64), right, weights))

    def result(self) -> tf.Tensor:
        if self.classes is None:
            return tf.zeros((), self.dtype)
        weight, confidence, hits = tf.unstack(tf.convert_to_tensor(self.table))
        gap = tf.reduce_sum(tf.abs(confidence - hits))
        return tf.cast(tf.math.divide_no_nan(gap, tf.reduce_sum(weight)), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins}
