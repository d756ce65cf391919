"""Gradients of a batch whose rows do not divide evenly among replicas."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.train_steps import rows_of


@contextlib.contextmanager
def weighted_by_rows(model: keras.Model) -> Iterator[None]:
    """Within it each replica's loss counts by its share of the batch's rows, so that a step is that of one device.

    Keras adds up the replicas' mean losses with equal weights: in a last batch of 5 rows over 2 devices those of the
    part with 2 rows count half as much again as the others, and a single row, whose other replica has none, half.
    """
    # Each replica is traced in a thread of its own.
    traced = threading.local()

    def step(method: Callable[[Any], Any], data: Any) -> Any:
        traced.share = _share(data)
        try:
            return method(data)
        finally:
            traced.share = None

    def scale(method: Callable[[Any], Any], loss: Any) -> Any:
        share = getattr(traced, "share", None)
        return method(loss if share is None else loss * tf.cast(share, loss.dtype))

    wrap_method(model, "train_step", step)
    wrap_method(model.optimizer, "scale_loss", scale)
    try:
        yield
    finally:
        remove_from_method(model, "train_step", step)
        remove_from_method(model.optimizer, "scale_loss", scale)


def _share(data: Any) -> Any:
    """The rows of this replica's part, over the mean of those of all replicas."""
    context = tf.distribute.get_replica_context()
    rows = tf.cast(rows_of(keras.utils.unpack_x_y_sample_weight(data)[0]), "float32")
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
    return rows * context.num_replicas_in_sync / tf.maximum(total, 1.0)
