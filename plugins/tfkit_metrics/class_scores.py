"""From predictions in any of their forms to scores of the classes, and to probabilities."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfkit.errors import ParameterError
from tfkit_metrics.base import Classification
from tfkit_metrics.checks import not_a_number, out_of_range, surely_within
from tfkit_metrics.inputs import Batch, Form, floating, has_columns, read, seen

# A float32 softmax may go beyond 1 by its rounding.
_SLACK = 1e-5


class Scored(Classification):
    """A metric of the scores of classes. Arguments as `Classification`; ids are refused as predictions."""

    def read(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Batch, int]:
        return read(y_true, y_pred, sample_weight, self.form, take)


class Probabilistic(Scored):
    """A metric of the probabilities of classes: they are the predictions of its batches. Arguments as `Scored`."""

    def read(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Batch, int]:
        return read(y_true, y_pred, sample_weight, self.form, take_probabilities)


def take(y_pred: tf.Tensor, classes: int, present: tf.Tensor | None, form: Form) -> tuple[tf.Tensor, tf.Tensor | float]:
    """Scores, floating (m, classes), or (m, 1) of class 1 of two; and their doubt, NaN where one is NaN.

    Raises:
        ParameterError: If predictions are class ids.
    """
    scores = _scores(y_pred, classes, form)
    return scores, not_a_number(scores, present)


def take_probabilities(
    y_pred: tf.Tensor, classes: int, present: tf.Tensor | None, form: Form
) -> tuple[tf.Tensor, tf.Tensor | float]:
    """As `probabilities`, of predictions as `take` takes them."""
    return probabilities(_scores(y_pred, classes, form), present, form)


def probabilities(scores: tf.Tensor, present: tf.Tensor | None, form: Form) -> tuple[tf.Tensor, tf.Tensor | float]:
    """Probabilities of the scores' shape, and their doubt.

    Returns:
        Float64 where they are made of logits, else of the dtype given (float32 of half precision); and NaN where one
        is NaN, or is not from 0 to 1 and no error could be raised.

    Raises:
        DataError: When run eagerly, if a prediction is not from 0 to 1.
    """
    if form.from_logits:
        squash = tf.sigmoid if form.multi_label or scores.shape[-1] == 1 else tf.nn.softmax
        return squash(tf.cast(scores, tf.float64)), not_a_number(scores, present)
    if scores.dtype not in (tf.float32, tf.float64):
        scores = tf.cast(scores, tf.float32)
    wanted = f"metric {form.owner!r}: predictions must be from 0 to 1 (pass from_logits=True for logits)"
    if surely_within(scores, 1 + _SLACK):
        return scores, 0.0
    doubts = out_of_range(seen(scores, present), -_SLACK, 1 + _SLACK, wanted)
    return scores, doubts + not_a_number(scores, present)


def _scores(y_pred: tf.Tensor, classes: int, form: Form) -> tf.Tensor:
    columns = classes if form.multi_label or has_columns(y_pred) else 1
    if columns == 1 and not form.multi_label and (classes != 2 or not y_pred.dtype.is_floating):
        raise ParameterError(
            f"metric {form.owner!r} needs a score of each class; predictions of dtype {y_pred.dtype.name} and shape "
            f"{y_pred.shape} are class ids: give probabilities, or logits with from_logits=True"
        )
    return floating(tf.reshape(y_pred, (-1, columns)))
