"""The confusion matrix."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit.errors import ParameterError
from tfkit_metrics.averages import ratio
from tfkit_metrics.base import Classification, by_class
from tfkit_metrics.checks import plus
from tfkit_metrics.inputs import Batch

# The axes whose sum is divided by.
_AXES: dict[str, tuple[int, ...]] = {"true": (-1,), "pred": (-2,), "all": (-2, -1)}


@keras.saving.register_keras_serializable(package="tfkit")
class ConfusionMatrix(Classification):
    """Rows of each true class by predicted class, of shape (classes, classes), true classes down.

    Of a multi-label task it is a matrix of false and true for each label, of shape (labels, 2, 2). Counts are
    float64 and stay exact beyond 2**24.

    Args:
        normalize: "true" divides by the sums of the rows, "pred" by those of the columns, "all" by the whole;
            what would be 0 / 0 is 0.
        **classification: As `tfkit_metrics.base.Classification`; dtype None is float64.

    Raises:
        ParameterError: If normalize is none of these.

    Example:
        >>> ConfusionMatrix(num_classes=3)(y_true=[0, 1, 2], y_pred=[0, 2, 2]).numpy().tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """

    default_dtype = "float64"

    def __init__(self, *, normalize: str | None = None, **classification: Any) -> None:
        if normalize not in (None, *_AXES):
            raise ParameterError(f"normalize must be None, {', '.join(map(repr, _AXES))}; got {normalize!r}")
        super().__init__(**classification)
        self.normalize = normalize

    def create_state(self, classes: int) -> None:
        self.matrix = self.counts("matrix", (classes, 2, 2) if self.form.multi_label else (classes, classes))

    def add(self, batch: Batch) -> None:
        self.matrix.assign_add(plus(tf.reshape(self._counted(batch), self.matrix.shape), batch.doubt))

    def _counted(self, batch: Batch) -> tf.Tensor:
        """The weight of the rows of each cell, float64 (cells,)."""
        columns, ids = self.matrix.shape[-1], batch.ids_on_host()
        if ids is not None:
            cells = np.multiply(ids[0], columns, dtype=np.int64)
            np.add(cells, ids[1], out=cells, dtype=np.int64)
            return tf.constant(np.bincount(cells, minlength=columns * columns).astype(np.float64))
        labels, predictions = tf.cast(batch.labels, tf.int32), tf.cast(batch.predictions, tf.int32)
        cells, weights = labels * columns + predictions, batch.given
        if self.form.multi_label:
            cells = cells + 4 * tf.range(self.matrix.shape[0])
            weights = None if weights is None else tf.broadcast_to(weights[:, None], tf.shape(cells))
        return by_class(weights, cells, self.matrix.shape.num_elements())

    def result(self) -> tf.Tensor:
        if self.classes is None:
            return tf.zeros((0, 0), self.dtype)
        matrix = tf.convert_to_tensor(self.matrix)
        if self.normalize is not None:
            matrix = ratio(matrix, tf.reduce_sum(matrix, axis=_AXES[self.normalize], keepdims=True), 0.0)
        return tf.cast(matrix, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "normalize": self.normalize}
