"""From labels and predictions in any of their forms to class ids, or to one column for each label."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfkit.errors import DataError, ParameterError
from tfkit_metrics.checks import doubt, not_a_number, on_host, out_of_range


@dataclass(frozen=True)
class Form:
    """How labels and predictions are to be read.

    Attributes:
        owner: Name of the metric, for errors.
        num_classes: Number of classes, or None to take it from the predictions.
        multi_label: Whether a row may have several labels.
        from_logits: Whether predictions come before the sigmoid or softmax.
        threshold: Probability above which a label holds.
    """

    owner: str
    num_classes: int | None = None
    multi_label: bool = False
    from_logits: bool = False
    threshold: float = 0.5

    @property
    def cut(self) -> float:
        """The threshold on the scale of the predictions, so that no logit is rounded by a float32 sigmoid."""
        if not self.from_logits:
            return self.threshold
        if self.threshold in (0, 1):
            return math.inf if self.threshold else -math.inf
        return math.log(self.threshold / (1 - self.threshold))


@dataclass(frozen=True)
class Batch:
    """A batch of m rows; the steps of a sequence and the pixels of an image are rows.

    Attributes:
        true: Class ids (m,), in the integer dtype given; of a multi-label task bool (m, labels).
        predicted: The same form as true; or scores, (m, classes), or (m, 1) of class 1 of two.
        given: Float64 (m,): sample weights, 0 where masked; None where all are known to be 1.
        present: Bool (m,): False where masked; None where no row is.
        doubt: A float64 scalar, or float, to add to every count: 0, or NaN where the batch cannot be counted.
    """

    true: tf.Tensor
    predicted: tf.Tensor
    given: tf.Tensor | None
    present: tf.Tensor | None
    doubt: tf.Tensor | float

    @property
    def labels(self) -> tf.Tensor:
        """What is true, its ids as int32."""
        return tf.cast(self.true, tf.int32) if self.true.dtype.is_integer else self.true

    @property
    def predictions(self) -> tf.Tensor:
        """What is predicted, its ids as int32."""
        return tf.cast(self.predicted, tf.int32) if self.predicted.dtype.is_integer else self.predicted

    @property
    def weights(self) -> tf.Tensor:
        """The weights, float64 (m,), 1 where none are given."""
        return tf.ones(tf.shape(self.true)[:1], tf.float64) if self.given is None else self.given

    def ids_on_host(self) -> tuple[np.ndarray, np.ndarray] | None:
        """True and predicted ids of rows without weights, where numpy can read them: it counts several times faster."""
        ids = self.true.dtype.is_integer and self.predicted.dtype.is_integer
        if not (ids and self.given is None and on_host(self.true) and on_host(self.predicted)):
            return None
        return np.asarray(self.true), np.asarray(self.predicted)

    def right(self) -> tf.Tensor:
        """The weight of the rows whose prediction is right, in every label of a multi-label task: float64 scalar."""
        ids = self.ids_on_host()
        if ids is not None:
            return tf.constant(np.count_nonzero(np.equal(*ids)), tf.float64)
        right = tf.equal(self.labels, self.predictions)
        return self.total(tf.reduce_all(right, axis=-1) if right.shape.rank > 1 else right)

    def total(self, chosen: tf.Tensor | None = None) -> tf.Tensor:
        """The weight of all rows, or of those that are chosen, bool (m,): float64 scalar."""
        if self.given is not None:
            return tf.reduce_sum(self.given if chosen is None else tf.where(chosen, self.given, 0.0))
        # To count takes a third of what it does to sum up weights of 1.
        rows = row_count(self.true) if chosen is None else tf.reduce_sum(tf.cast(chosen, tf.int32))
        return tf.cast(rows, tf.float64)


# Reads predictions: (y_pred, classes, present, form) -> (predictions, doubt).
Take = Callable[[tf.Tensor, int, Any, Form], tuple[tf.Tensor, tf.Tensor | float]]


def read(y_true: Any, y_pred: Any, sample_weight: Any, form: Form, take: Take | None = None) -> tuple[Batch, int]:
    """Reads a batch and the number of classes.

    Args:
        y_true: Class ids of shape (n,) or (n, 1), or one-hot rows, soft ones too; a multi-label task's are
            0 or 1 in a column for each label. Sequences and images have more axes in the middle.
        y_pred: Probabilities or logits of shape (n, classes); (n,) or (n, 1) where the task is binary; integer
            ids of shape (n,) or (n, 1) where `num_classes` is given. A Keras mask is honoured.
        sample_weight: Shape (n,), (n, 1) or that of the ids; or None.
        form: How they are to be read.
        take: Reads the predictions; None makes ids of them, `tfkit_metrics.class_scores.take` keeps the scores.

    Raises:
        DataError: If shapes do not fit or, when run eagerly, a label is out of range.
        ParameterError: If `num_classes` is needed, or differs from the predictions' columns.
    """
    mask = getattr(y_pred, "_keras_mask", None)
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    _check_shapes(y_true, y_pred, form)
    classes = count_classes(y_pred, form)
    weights, present = None, None
    if mask is not None or sample_weight is not None:
        weights, present = row_weights(y_pred, mask, sample_weight, form.owner)
    labels, doubt_labels = (_label_columns if form.multi_label else _labels)(y_true, y_pred, classes, present, form)
    predictions, doubt_predictions = (take or _predictions)(y_pred, classes, present, form)
    return Batch(labels, predictions, weights, present, doubt_labels + doubt_predictions), classes


def row_weights(y_pred: tf.Tensor, mask: Any, sample_weight: Any, owner: str) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Weights of the rows, float64 (m,), 0 where masked; and where they are present, bool (m,), None without a mask.

    Raises:
        DataError: If their shapes do not fit the predictions'.
    """
    weights = _per_row(1.0 if sample_weight is None else sample_weight, y_pred, tf.float64, owner)
    if mask is None:
        return weights, None
    present = _per_row(mask, y_pred, tf.bool, owner)
    return tf.where(present, weights, 0.0), present


def seen(values: tf.Tensor, present: tf.Tensor | None) -> tf.Tensor:
    """Values of the rows, (m,) or (m, columns), 0 where a row is masked: what is masked may be anything."""
    if present is None:
        return values
    chosen = present if values.shape.rank == 1 else present[:, None]
    return tf.where(chosen, values, tf.zeros_like(values))


def row_count(rows: tf.Tensor) -> tf.Tensor | int:
    """The number of rows, (m,) or (m, columns): an int where it is known."""
    return tf.shape(rows)[0] if rows.shape[0] is None else rows.shape[0]


def count_classes(y_pred: tf.Tensor, form: Form) -> int:
    """Number of classes, or of labels of a multi-label task.

    Raises:
        ParameterError: If `num_classes` is needed, or differs from the predictions' columns.
    """
    if not form.multi_label and not has_columns(y_pred):
        if form.num_classes is None and y_pred.dtype.is_integer:
            raise ParameterError(
                f"metric {form.owner!r}: predictions of dtype {y_pred.dtype.name} and shape {y_pred.shape} "
                "are class ids; pass num_classes"
            )
        return form.num_classes or 2
    columns = y_pred.shape[-1] or form.num_classes
    if columns is None or form.num_classes not in (None, columns):
        raise ParameterError(
            f"metric {form.owner!r}: predictions of shape {y_pred.shape} do not have num_classes={form.num_classes} "
            "columns; pass the number that they have"
        )
    return columns


def has_columns(y_pred: tf.Tensor) -> bool:
    """Whether the last axis holds a score for each class."""
    return y_pred.shape.rank > 1 and y_pred.shape[-1] != 1


def row_axes(y_pred: tf.Tensor) -> int:
    """Number of axes that tell rows apart: all but the last, which is that of the classes, or of size 1."""
    return max(y_pred.shape.rank - 1, 1)


def _check_shapes(y_true: tf.Tensor, y_pred: tf.Tensor, form: Form) -> None:
    told = f"metric {form.owner!r}: labels have shape {y_true.shape} and predictions {y_pred.shape}"
    if not (y_true.shape.rank and y_pred.shape.rank):
        raise DataError(f"{told}; both need a first axis, that of the rows")
    if tf.string in (y_true.dtype, y_pred.dtype):
        raise DataError(f"{told} and are strings; give class ids or one-hot rows")
    axes = row_axes(y_pred)
    if not y_true.shape[:axes].is_compatible_with(y_pred.shape[:axes]):
        raise DataError(f"{told}: their rows differ")
    if form.multi_label and not (y_pred.shape.rank > 1 and y_true.shape.is_compatible_with(y_pred.shape)):
        raise DataError(f"{told}; multi_label=True takes both of shape (n, labels)")
    columns = (None, 1, count_classes(y_pred, form))
    if y_true.shape.rank != axes and not (y_true.shape.rank == axes + 1 and y_true.shape[-1] in columns):
        raise DataError(f"{told}; give ids of shape (n,) or (n, 1), or one-hot rows of {columns[-1]} columns")


def _per_row(value: Any, y_pred: tf.Tensor, dtype: tf.DType, owner: str) -> tf.Tensor:
    """A weight or a mask as (m,); what is said of a whole sequence holds for each of its steps."""
    tensor, axes = tf.cast(value, dtype), row_axes(y_pred)
    if tensor.shape.rank == axes + 1 and tensor.shape[-1] == 1:
        tensor = tf.squeeze(tensor, -1)
    rank = tensor.shape.rank
    if rank is None or rank > axes or not tensor.shape.is_compatible_with(y_pred.shape[:rank]):
        raise DataError(
            f"metric {owner!r}: sample_weight has shape {tensor.shape} and predictions {y_pred.shape}; "
            "give one weight for each row"
        )
    padded = tf.concat([tf.shape(tensor), tf.ones(axes - rank, tf.int32)], 0)
    return tf.reshape(tf.broadcast_to(tf.reshape(tensor, padded), tf.shape(y_pred)[:axes]), (-1,))


def _label_columns(
    y_true: tf.Tensor, y_pred: tf.Tensor, classes: int, present: tf.Tensor | None, form: Form
) -> tuple[tf.Tensor, tf.Tensor | float]:
    labels = seen(floating(tf.reshape(y_true, (-1, classes))), present)
    valid = tf.reduce_all((labels >= 0) & (labels <= 1), axis=-1)
    wanted = f"metric {form.owner!r}: with multi_label=True labels must be from 0 to 1"
    return labels > 0.5, doubt(valid, tf.reduce_max(labels, axis=-1), wanted)


def _predictions(
    y_pred: tf.Tensor, classes: int, present: tf.Tensor | None, form: Form
) -> tuple[tf.Tensor, tf.Tensor | float]:
    if form.multi_label:
        scores = floating(tf.reshape(y_pred, (-1, classes)))
        return scores > form.cut, not_a_number(scores, present)
    if has_columns(y_pred):
        scores = floating(tf.reshape(y_pred, (-1, classes)))
        return tf.argmax(scores, -1, output_type=tf.int32), not_a_number(scores, present)
    scores = tf.reshape(y_pred, (-1,))
    if classes == 2 and scores.dtype.is_floating:
        return tf.cast(scores > form.cut, tf.int32), not_a_number(scores[:, None], present)
    return _ids(seen(scores, present), classes, f"metric {form.owner!r}: predictions")


def _labels(
    y_true: tf.Tensor, y_pred: tf.Tensor, classes: int, present: tf.Tensor | None, form: Form
) -> tuple[tf.Tensor, tf.Tensor | float]:
    owner = f"metric {form.owner!r}"
    if y_true.shape.rank > row_axes(y_pred) and y_true.shape[-1] != 1:
        return _one_hot(seen(floating(tf.reshape(y_true, (-1, classes))), present), present, owner)
    values = seen(tf.reshape(y_true, (-1,)), present)
    if classes > 2 or not values.dtype.is_floating:
        return _ids(values, classes, f"{owner}: labels")
    # Two classes may have soft labels, such as 0.95 after label smoothing.
    valid = (values >= 0) & (values <= 1)
    return tf.cast(values > 0.5, tf.int32), doubt(valid, values, f"{owner}: labels must be from 0 to 1")


def _one_hot(rows: tf.Tensor, present: tf.Tensor | None, owner: str) -> tuple[tf.Tensor, tf.Tensor | float]:
    total = tf.reduce_sum(rows, axis=-1)
    valid = (total > 0.5) & (total < 1.5)
    wanted = f"{owner}: one-hot labels must sum to 1 in each row (pass multi_label=True where several may hold)"
    doubts = doubt(valid if present is None else valid | ~present, total, wanted)
    return tf.argmax(rows, -1, output_type=tf.int32), doubts


def _ids(values: tf.Tensor, classes: int, owner: str) -> tuple[tf.Tensor, tf.Tensor | float]:
    wanted = f"{owner} must be whole numbers from 0 to {classes - 1} (num_classes={classes})"
    values = tf.cast(values, tf.int32) if values.dtype.is_bool else values
    if values.dtype.is_integer:
        ids, doubts = values, out_of_range(values, 0, min(classes - 1, values.dtype.max), wanted)
    else:
        ids = tf.cast(values, tf.int32)
        # Casting back shows fractions, NaN and what int32 cannot hold.
        valid = (ids >= 0) & (ids < classes) & (tf.cast(ids, values.dtype) == values)
        doubts = doubt(valid, values, wanted)
    # A bad batch has raised by now, but in a graph, which may count it first.
    return ids if tf.executing_eagerly() else tf.clip_by_value(tf.cast(ids, tf.int32), 0, classes - 1), doubts


def floating(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor, as float32 where it is of no floating dtype."""
    return tensor if tensor.dtype.is_floating else tf.cast(tensor, tf.float32)
