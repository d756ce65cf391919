"""The Jaccard index, also called intersection over union."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfkit_metrics.averaged import Averaged
from tfkit_metrics.averages import Counts, ratio


@keras.saving.register_keras_serializable(package="tfkit")
class Jaccard(Averaged):
    """Rows both of a class and predicted as it, over rows that are either. Arguments as `Averaged`.

    Example:
        >>> metric = Jaccard(average=None, num_classes=3)
        >>> metric(y_true=[0, 1, 2], y_pred=[0, 2, 2]).numpy().tolist()
        [1.0, 0.0, 0.5]
    """

    def score(self, counts: Counts) -> tf.Tensor:
        return ratio(counts.hits, counts.actual + counts.predicted - counts.hits, self.zero_division)
