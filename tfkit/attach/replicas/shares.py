"""Gradients and losses of a batch whose rows do not divide evenly among replicas."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.losses import LossesAround, LossShares, loss_arguments
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.replicas.means import WholeBatch, refuse_cast_masks
from tfkit.attach.train_steps import rows_of

Function = Callable[..., Any]


@contextlib.contextmanager
def weighted_by_rows(model: keras.Model) -> Iterator[None]:
    """Within it each replica's loss counts by its share of the batch's rows, so that a step is that of one device.

    Keras adds up the replicas' mean losses with equal weights: in a last batch of 5 rows over 2 devices those of the
    part with 2 rows count half as much again as the others, and a single row, whose other replica has none, half. The
    losses of several outputs are logged so too. Of masked outputs it takes the means over each replica's positions;
    here they are over all, and a sum stays one.
    """
    shares = _Shares()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_around(model.optimizer, "scale_loss", shares.scale))
        if model.loss is not None:
            stack.enter_context(_losses_around(model, shares))
        for name in ("train_step", "test_step"):
            stack.enter_context(_around(model, name, shares.step))
        yield


class _Shares:
    """What a replica's part of the batch counts, in the steps that are traced, each in a thread of its own."""

    def __init__(self) -> None:
        self.logs: LossShares | None = None
        self._traced = threading.local()

    @property
    def graph(self) -> Any:
        """The graph of this thread's step; None out of one."""
        return getattr(self._traced, "graph", None)

    @property
    def share(self) -> Any:
        """What this thread's replica counts in its step; None out of one."""
        return getattr(self._traced, "share", None)

    def step(self, method: Function, data: Any) -> Any:
        self._traced.share, self._traced.graph = _share(data), tf.compat.v1.get_default_graph()
        try:
            with contextlib.nullcontext() if self.logs is None else self.logs.share(self.share):
                return method(data)
        finally:
            self._traced.share = self._traced.graph = None

    def scale(self, method: Function, loss: Any) -> Any:
        return method(loss if self.share is None else loss * tf.cast(self.share, loss.dtype))


@contextlib.contextmanager
def _around(owner: Any, name: str, function: Function) -> Iterator[None]:
    wrap_method(owner, name, function)
    try:
        yield
    finally:
        remove_from_method(owner, name, function)


@contextlib.contextmanager
def _losses_around(model: keras.Model, shares: _Shares) -> Iterator[None]:
    def check(compute_loss: Function, *args: Any, **kwargs: Any) -> Any:
        refuse_cast_masks(model, loss_arguments(args, kwargs).get("y_pred"))
        return compute_loss(*args, **kwargs)

    around = LossesAround(model, lambda loss: WholeBatch(loss, shares))
    shares.logs = LossShares(model)
    with contextlib.ExitStack() as stack:
        for each in (around, shares.logs):
            stack.callback(each.uninstall)
            each.install()
        stack.enter_context(_around(model, "compute_loss", check))
        yield


def _share(data: Any) -> Any:
    """The rows of this replica's part, over the mean of those of all replicas."""
    context = tf.distribute.get_replica_context()
    rows = tf.cast(rows_of(keras.utils.unpack_x_y_sample_weight(data)[0]), "float32")
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
    return rows * context.num_replicas_in_sync / tf.maximum(total, 1.0)
