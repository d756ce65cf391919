"""Means over the rows of what each row's scores say: top-k accuracy, log loss, Brier score."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfkit_metrics.averages import ratio
from tfkit_metrics.class_scores import Probabilistic, Scored
from tfkit_metrics.inputs import Batch, seen


class RowMean(Scored):
    """The mean, by weight, of a value of each row; subclasses implement `values`. Arguments as `Classification`."""

    def create_state(self, classes: int) -> None:
        self.sum = self.counts("sum", ())
        self.total = self.counts("total", ())

    def values(self, batch: Batch) -> tf.Tensor:
        """The value of each row, (m,)."""
        raise NotImplementedError

    def summed(self, batch: Batch) -> tf.Tensor:
        """The sum of the values by weight, a float64 scalar."""
        values = seen(tf.cast(self.values(batch), tf.float64), batch.present)
        return tf.reduce_sum(values if batch.given is None else values * batch.given)

    def add(self, batch: Batch) -> None:
        self.sum.assign_add(self.summed(batch) + batch.doubt)
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

    def values(self, batch: Batch) -> tf.Tensor:
        return tf.less(_higher(batch, self.form.cut), self.k)

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
class LogLoss(Probabilistic, RowMean):
    """Cross-entropy, in nats, of labels and probabilities; less is better.

    Probabilities are clipped to [eps, 1 - eps] as scikit-learn does, eps that of their dtype; those made of logits are
    float64. Soft labels count as their largest. Of a multi-label task it is the mean over the labels.
    Arguments as `tfkit_metrics.base.Classification`.

    Example:
        >>> round(float(LogLoss()(y_true=[0, 1], y_pred=[[0.9, 0.1], [0.5, 0.5]])), 4)
        0.3993
    """

    direction = "down"

    def values(self, batch: Batch) -> tf.Tensor:
        chances = batch.predictions
        eps = chances.dtype.as_numpy_dtype(1) * _EPS[chances.dtype]
        own = tf.clip_by_value(_of_the_label(batch, self.form.multi_label), eps, 1 - eps)
        losses = -tf.math.log(tf.cast(own, tf.float64))
        return tf.reduce_mean(losses, axis=-1) if self.form.multi_label else losses


# Machine epsilons, as numpy's finfo tells them.
_EPS = {tf.float32: 2.0**-23, tf.float64: 2.0**-52}


def _of_the_label(batch: Batch, multi_label: bool) -> tf.Tensor:
    """The probability of what is true: (m,), of a multi-label task (m, labels)."""
    chances = batch.predictions
    if multi_label:
        return tf.where(batch.labels, chances, 1 - chances)
    if chances.shape[-1] == 1:
        return tf.where(tf.equal(batch.labels, 1), chances[:, 0], 1 - chances[:, 0])
    return tf.gather(chances, batch.labels, batch_dims=1)


@keras.saving.register_keras_serializable(package="tfkit")
class Brier(Probabilistic, RowMean):
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

    def values(self, batch: Batch) -> tf.Tensor:
        chances = batch.predictions
        if self.form.multi_label or chances.shape[-1] == 1:
            missed = 1 - _of_the_label(batch, self.form.multi_label)
            squares = tf.square(missed)
            return tf.reduce_mean(squares, axis=-1) if self.form.multi_label else squares
        own = _of_the_label(batch, multi_label=False)
        # The sum over the other classes and (1 - own)², without a one-hot matrix.
        squares = tf.linalg.matvec(tf.square(chances), tf.ones(chances.shape[-1], chances.dtype))
        distance = squares - own * own + tf.square(1 - own)
        return distance / 2 if chances.shape[-1] == 2 else distance

    def summed(self, batch: Batch) -> tf.Tensor:
        whole = batch.given is None and not self.form.multi_label and batch.predictions.shape[-1] > 1
        # XLA adds up one after the other, which loses digits of a long sum.
        if not (whole and tf.executing_eagerly()):
            return super().summed(batch)
        own = tf.cast(_of_the_label(batch, multi_label=False), tf.float64)
        # Half of the squares' sum in one pass that keeps nothing: a column of squares takes four times as long.
        squares = 2 * tf.cast(tf.nn.l2_loss(batch.predictions), tf.float64)
        distance = squares + tf.reduce_sum(1 - 2 * own)
        return distance / 2 if batch.predictions.shape[-1] == 2 else distance
