"""Regression, the base of metrics of numbers, and the mean errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfkit.errors import DataError
from tfkit_metrics.averages import ratio
from tfkit_metrics.base import Streaming
from tfkit_metrics.inputs import row_axes, row_weights, seen
from tfkit_metrics.moments import products, total_weight


@dataclass(frozen=True)
class Numbers:
    """A batch of m rows with a column for each output.

    Attributes:
        actual: Float64 (m, outputs).
        predicted: Float64 (m, outputs).
        given: Float64 (m, 1): sample weights, 0 where masked; None where all are known to be 1.
    """

    actual: tf.Tensor
    predicted: tf.Tensor
    given: tf.Tensor | None

    @property
    def weights(self) -> tf.Tensor:
        """The weights, float64 (m, 1), 1 where none are given."""
        return tf.ones((tf.shape(self.actual)[0], 1), tf.float64) if self.given is None else self.given


def read_numbers(y_true: Any, y_pred: Any, sample_weight: Any, owner: str) -> Numbers:
    """Reads a batch.

    Args:
        y_true: Numbers of the predictions' shape; (n,) and (n, 1) are the same.
        y_pred: Numbers, (n,) or (n, outputs); sequences and images have more axes in the middle. A Keras mask
            is honoured.
        sample_weight: Shape (n,), (n, 1) or that of the rows; or None.
        owner: Name of the metric, for errors.

    Raises:
        DataError: If shapes do not fit, or values are strings.
    """
    mask = getattr(y_pred, "_keras_mask", None)
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    outputs = _outputs(y_true, y_pred, owner)
    weights, present = None, None
    if mask is not None or sample_weight is not None:
        weights, present = row_weights(y_pred, mask, sample_weight, owner)
    columns = (tf.reshape(tf.cast(each, tf.float64), (-1, outputs)) for each in (y_true, y_pred))
    actual, predicted = (seen(each, present) for each in columns)
    return Numbers(actual, predicted, None if weights is None else weights[:, None])


def _outputs(y_true: tf.Tensor, y_pred: tf.Tensor, owner: str) -> int:
    told = f"metric {owner!r}: labels have shape {y_true.shape} and predictions {y_pred.shape}"
    if tf.string in (y_true.dtype, y_pred.dtype):
        raise DataError(f"{told} and are strings; give numbers")
    if not (y_true.shape.rank and y_pred.shape.rank):
        raise DataError(f"{told}; both need a first axis, that of the rows")
    outputs = y_pred.shape[-1] if y_pred.shape.rank > 1 else 1
    if outputs is None:
        raise DataError(f"{told}; the last axis, that of the outputs, must be known")
    rows = row_axes(y_pred)
    if not _in_columns(y_true, rows).is_compatible_with(_in_columns(y_pred, rows)):
        raise DataError(f"{told}; give as many numbers as predictions")
    return outputs


def _in_columns(tensor: tf.Tensor, rows: int) -> tf.TensorShape:
    """Its shape, with a last axis of 1 where it has none for the outputs."""
    return tensor.shape.concatenate(1) if tensor.shape.rank == rows else tensor.shape


class Regression(Streaming):
    """A metric of numbers; of several outputs it is the mean over them. Subclasses implement `create_state` and `add`.

    State is created on the first batch. Arguments as `tfkit_metrics.base.Streaming`.
    """

    def __init__(self, **streaming: Any) -> None:
        super().__init__(**streaming)
        self.outputs: int | None = None

    def create_state(self, outputs: int) -> None:
        """Creates the variables, for so many outputs."""
        raise NotImplementedError

    def add(self, batch: Numbers) -> None:
        """Adds a batch to the state."""
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; the forms that it may have are told in `read_numbers`."""
        batch = read_numbers(y_true, y_pred, sample_weight, self.name)
        if self.outputs is None:
            self.outputs = batch.actual.shape[-1]
            self.create_state(self.outputs)
        self.add(batch)


class MeanError(Regression):
    """The mean, by weight, of an error of each row; subclasses implement `summed`."""

    direction = "down"

    def create_state(self, outputs: int) -> None:
        self.sum = self.counts("sum", (outputs,))
        self.total = self.counts("total", ())

    def summed(self, distances: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        """The errors by weight, summed over the rows.

        Args:
            distances: Labels minus predictions, float64 (m, outputs).
            weights: Float64 (m, 1); None where all are 1.

        Returns:
            Float64 (outputs,).
        """
        raise NotImplementedError

    def add(self, batch: Numbers) -> None:
        self.sum.assign_add(self.summed(batch.actual - batch.predicted, batch.given))
        self.total.assign_add(total_weight(batch.actual, batch.given))

    def means(self) -> tf.Tensor:
        """The mean error of each output, float64 (outputs,); 0 where no row was counted."""
        if self.outputs is None:
            return tf.zeros(1, tf.float64)
        return ratio(self.sum, self.total, 0.0)

    def result(self) -> tf.Tensor:
        return tf.cast(tf.reduce_mean(self.means()), self.dtype)


@keras.saving.register_keras_serializable(package="tfkit")
class Mae(MeanError):
    """Mean absolute error; less is better. Arguments as `tfkit_metrics.base.Streaming`.

    Example:
        >>> float(Mae()(y_true=[1.0, 2.0], y_pred=[[1.5], [2.0]]))
        0.25
    """

    def summed(self, distances: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        errors = tf.abs(distances)
        return tf.reduce_sum(errors if weights is None else errors * weights, axis=0)


@keras.saving.register_keras_serializable(package="tfkit")
class Mse(MeanError):
    """Mean squared error; less is better. Arguments as `tfkit_metrics.base.Streaming`.

    Example:
        >>> float(Mse()(y_true=[1.0, 2.0], y_pred=[1.5, 2.0]))
        0.125
    """

    def summed(self, distances: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        return products(distances, distances, weights)


@keras.saving.register_keras_serializable(package="tfkit")
class Rmse(Mse):
    """Root of the mean squared error of each output; less is better. Arguments as `tfkit_metrics.base.Streaming`.

    Example:
        >>> float(Rmse()(y_true=[1.0, 2.0], y_pred=[4.0, 5.0]))
        3.0
    """

    def result(self) -> tf.Tensor:
        return tf.cast(tf.reduce_mean(tf.sqrt(self.means())), self.dtype)
