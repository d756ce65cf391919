"""Means over the rows of what each row's scores say: top-k accuracy, log loss, Brier score."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfkit_metrics.averages import ratio
from tfkit_metrics.class_scores import Scored, probabilities
from tfkit_metrics.inputs import Batch, seen


class RowMean(Scored):
    """The mean, by weight, of a value of each row; subclasses implement `values`. Arguments as `Classification`."""

    def create_state(self, classes: int) -> None:
        self.sum = self.counts("sum", ())
        self.total = self.counts("total", ())

    def values(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """The value of each row, (m,), and a doubt, a scalar; see `tfkit_metrics.checks.doubt`."""
        raise NotImplementedError

    def add(self, batch: Batch) -> None:
        values, doubts = self.values(batch)
        values = seen(tf.cast(values, tf.float64), batch.present)
        self.sum.assign_add(tf.reduce_sum(values if batch.given is None else values * batch.given) + doubts)
        self.total.assign_add(batch.total())

    def result(self) -> tf.Tensor:
        if self.classes is None:
            return tf.zeros((), self.dtype)
        return tf.cast(ratio(self.sum, self.total, 0.0), self.dtype)


@keras.saving.register_keras_serializable(package="tfkit")
class TopKAccuracy(RowMean):
    """Share of rows whose class is among the k of the highest scores; among equal scores the later class is higher.

    Args:
        k: How many of the highest scores count; with as many as there are classes all rows are right.
        **classification: As `tfkit_metrics.base.Classification`.

    Example:
        >>> scores = [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]
        >>> float(TopKAccuracy(k=2)(y_true=[1, 2], y_pred=scores))
        0.5
    """

    def __init__(self, *, k: int = 5, **classification: Any) -> None:
        super().__init__(**classification)
        self.k = k

    def values(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.less(_higher(batch, self.form.cut), self.k), batch.doubt

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


def _higher(batch: Batch, cut: float) -> tf.Tensor:
    """How many classes score higher than the row's own, int32 (m,)."""
    scores, columns = batch.predictions, batch.predictions.shape[-1]
    if columns == 1:
        return tf.cast(tf.not_equal(scores[:, 0] > cut, tf.equal(batch.labels, 1)), tf.int32)
    own = tf.gather(scores, batch.labels, batch_dims=1)[:, None]
    later = tf.range(columns)[None] > batch.labels[:, None]
    higher = tf.cast((scores > own) | (later & tf.equal(scores, own)), tf.float32)
    # A product is several times quicker than a sum over so short an axis.
    return tf.cast(tf.linalg.matvec(higher, tf.ones(columns)), tf.int32)


@keras.saving.register_keras_serializable(package="tfkit")
class LogLoss(RowMean):
    """Cross-entropy, in nats, of labels and probabilities; less is better.

    Probabilities are clipped to [eps, 1 - eps] as scikit-learn does, eps that of their dtype; those made of logits are
    float64. Soft labels count as their largest. Of a multi-label task it is the mean over the labels.
    Arguments as `tfkit_metrics.base.Classification`.

    Example:
        >>> round(float(LogLoss()(y_true=[0, 1], y_pred=[[0.9, 0.1], [0.5, 0.5]])), 4)
        0.3993
    """

    direction = "down"

    def values(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        chances, doubts = probabilities(batch, self.form)
        eps = chances.dtype.as_numpy_dtype(1) * _EPS[chances.dtype]
        own = tf.clip_by_value(_of_the_label(chances, batch, self.form.multi_label), eps, 1 - eps)
        losses = -tf.math.log(tf.cast(own, tf.float64))
        return tf.reduce_mean(losses, axis=-1) if self.form.multi_label else losses, doubts


# Machine epsilons, as numpy's finfo tells them.
_EPS = {tf.float32: 2.0**-23, tf.float64: 2.0**-52}


def _of_the_label(chances: tf.Tensor, batch: Batch, multi_label: bool) -> tf.Tensor:
    """The probability of what is true: (m,), of a multi-label task (m, labels)."""
    if multi_label:
        return tf.where(batch.labels, chances, 1 - chances)
    if chances.shape[-1] == 1:
        return tf.where(tf.equal(batch.labels, 1), chances[:, 0], 1 - chances[:, 0])
    return tf.gather(chances, batch.labels, batch_dims=1)


@keras.saving.register_keras_serializable(package="tfkit")
class Brier(RowMean):
    """Squared distance of probabilities from the truth, summed over the classes; halved where they are two.

    Equals scikit-learn's `brier_score_loss`: from 0 to 1 for two classes, to 2 for more; less is better. Soft labels
    count as their largest. Of a multi-label task it is the mean over the labels.
    Arguments as `tfkit_metrics.base.Classification`.

    Example:
        >>> round(float(Brier()(y_true=[0, 1], y_pred=[0.1, 0.5])), 4)
        0.13
        >>> round(float(Brier()(y_true=[0, 2], y_pred=[[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])), 4)
        0.19
    """

    direction = "down"

    def values(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        chances, doubts = probabilities(batch, self.form)
        if self.form.multi_label or chances.shape[-1] == 1:
            missed = 1 - _of_the_label(chances, batch, self.form.multi_label)
            squares = tf.square(missed)
            return tf.reduce_mean(squares, axis=-1) if self.form.multi_label else squares, doubts
        own = _of_the_label(chances, batch, multi_label=False)
        # The sum over the other classes and (1 - own)², without a one-hot matrix.
        squares = tf.linalg.matvec(tf.square(chances), tf.ones(chances.shape[-1], chances.dtype))
        distance = squares - own * own + tf.square(1 - own)
        return distance / 2 if chances.shape[-1] == 2 else distance, doubts
