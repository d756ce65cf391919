"""Losses over a batch that are not its mean over rows: sums, and means over unmasked positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras
import tensorflow as tf

from tfkit.attach.losses import compiled_losses, loss_name
from tfkit.attach.methods import functions_of
from tfkit.errors import ModelError


class Traced(Protocol):
    """The step of a replica that is traced.

    Attributes:
        graph: Its graph; None out of one.
        share: What the replica's loss counts in it.
    """

    @property
    def graph(self) -> Any: ...

    @property
    def share(self) -> Any: ...


class WholeBatch:
    """Around the `call` of a loss: has a replica's loss, which counts by its rows, be its part of the whole batch's.

    Args:
        loss: The loss: a mean over rows or over unmasked positions, or a sum.
        traced: The step in which it is called.

    Raises:
        ModelError: When called: the loss is one number for all rows, or it is masked where this cannot be done.
    """

    def __init__(self, loss: keras.Loss, traced: Traced) -> None:
        self._loss = loss
        self._traced = traced

    def __call__(self, method: Callable[..., Any], y_true: Any, y_pred: Any) -> Any:
        rows = method(y_true, y_pred)
        if self._traced.graph is None:
            return rows
        if len(rows.shape) == 0:
            raise ModelError(
                f"the loss {loss_name(self._loss)} is one number for all rows, which several replicas cannot make the "
                "mean of: return one for each row (axis=… of Dice and Tversky), or train on one device"
            )
        if self._loss.reduction == "sum":
            return _times(rows, tf.math.divide_no_nan(1.0, self._traced.share))
        mask = _mask(y_pred, rows)
        return rows if mask is None else _times(rows, self._density(mask))

    def _density(self, mask: Any) -> Any:
        """Unmasked positions for a row of this replica's part, over those for a row of all replicas'."""
        within = functions_of(self._loss, "call")[-1] is self
        if self._traced.graph is not tf.compat.v1.get_default_graph() or not within:
            raise ModelError(
                f"outputs of the loss {loss_name(self._loss)} are masked, whose mean over several replicas cannot be "
                "made within what another callback does to the step or to the loss: leave that out, or the mask"
            )
        here = [tf.reduce_sum(tf.cast(mask, "float32")), tf.cast(tf.shape(mask)[0], "float32")]
        valid, rows = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)
        return tf.math.divide_no_nan(here[0] * rows, here[1] * valid)


def refuse_cast_masks(model: keras.Model, y_pred: Any) -> None:
    """Raises ModelError for a masked output that its loss casts, as the cast one has no mask that could be seen."""
    for each in compiled_losses(model):
        output = each.of(y_pred)
        if getattr(output, "_keras_mask", None) is not None and output.dtype != each.loss.dtype:
            raise ModelError(
                f"a masked output is of dtype {output.dtype.name}, whose mean over several replicas cannot be made: "
                f"give its layer dtype={each.loss.dtype!r}"
            )


def _times(rows: Any, factor: Any) -> Any:
    found = rows * tf.cast(factor, rows.dtype)
    found._keras_mask = getattr(rows, "_keras_mask", None)
    return found


def _mask(y_pred: Any, rows: Any) -> Any:
    """As Keras puts together that of an output and that of a loss, such as of classes to ignore."""
    masks = [getattr(each, "_keras_mask", None) for each in (y_pred, rows)]
    found = [tf.cast(each, "bool") for each in masks if each is not None]
    return found[0] & found[-1] if found else None
