"""Streaming and Classification, bases of the metrics: read a batch and hand it on."""

from __future__ import annotations

import re
from typing import Any

import keras
import tensorflow as tf

from tfkit_metrics.inputs import Form, read


class Streaming(keras.metrics.Metric):
    """A metric that adds batches up, in float64.

    Args:
        name: Name in logs; None is the class's name in snake_case.
        dtype: Dtype of the result; None is `default_dtype`, else Keras's floatx.
    """

    default_dtype: str | None = None
    # What is better, "up" or "down".
    direction = "up"

    def __init__(self, *, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name=name or _snake_case(type(self).__name__), dtype=dtype or self.default_dtype)
        # KerasTuner and Keras's callbacks read from it whether more is better.
        self._direction = self.direction

    def counts(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """A float64 variable of zeros: float32 stops counting at 2**24."""
        return self.add_variable(shape=shape, initializer="zeros", dtype="float64", name=name)


class Classification(Streaming):
    """A metric of class ids, or of scores of classes, that adds batches up.

    Subclasses implement `create_state`, `add` and `result`. State of a metric without `num_classes` is
    created on the first batch.

    Args:
        num_classes: Number of classes; None takes it from the predictions.
        multi_label: Whether a row may have several labels, one column of 0 or 1 for each.
        from_logits: Whether predictions come before the sigmoid or softmax.
        threshold: Probability above which a label holds; of binary and multi-label tasks.
        **streaming: As `Streaming`.
    """

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        multi_label: bool = False,
        from_logits: bool = False,
        threshold: float = 0.5,
        **streaming: Any,
    ) -> None:
        super().__init__(**streaming)
        self.form = Form(self.name, num_classes, multi_label, from_logits, threshold)
        self.classes = num_classes
        if num_classes is not None:
            self.create_state(num_classes)

    def create_state(self, classes: int) -> None:
        """Creates the variables.

        Args:
            classes: Number of classes, or of labels of a multi-label task.
        """
        raise NotImplementedError

    def read(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, int]:
        """A batch in the form that `add` takes, and the number of classes."""
        return read(y_true, y_pred, sample_weight, self.form)

    def add(self, batch: Any) -> None:
        """Adds a batch to the state."""
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; the forms that labels and predictions may have are told in `tfkit_metrics.inputs.read`."""
        batch, classes = self.read(y_true, y_pred, sample_weight)
        if self.classes is None:
            self.create_state(classes)
            self.classes = classes
        self.add(batch)

    def get_config(self) -> dict[str, Any]:
        form = self.form
        return {
            **super().get_config(),
            "num_classes": form.num_classes,
            "multi_label": form.multi_label,
            "from_logits": form.from_logits,
            "threshold": form.threshold,
        }


def by_class(values: tf.Tensor | None, ids: tf.Tensor, classes: int) -> tf.Tensor:
    """Sums values, float64, by class id, int32 of the same shape, from 0 to classes - 1: float64 (classes,).

    Args:
        values: The values; None counts the ids.
        ids: The ids; what is `classes` or more is left out.
        classes: Number of classes.
    """
    # It takes a fifteenth of what unsorted_segment_sum does for a million rows.
    weights = tf.zeros(0, tf.int32) if values is None else tf.reshape(values, (-1,))
    size = tf.constant(classes, ids.dtype)
    return tf.cast(tf.raw_ops.DenseBincount(input=tf.reshape(ids, (-1,)), weights=weights, size=size), tf.float64)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
