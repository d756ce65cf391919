"""Gradients that an optimizer clips: those of the whole batch, not of each replica's part of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.optimizers import inner_optimizer

_CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")


@contextlib.contextmanager
def clipped_as_a_whole(model: keras.Model) -> Iterator[None]:
    """Within it an optimizer with clipnorm, global_clipnorm or clipvalue clips the sum of the replicas' gradients.

    Keras has each replica clip its own and adds them up then, which is another step than that of one device.
    """
    optimizer = inner_optimizer(model.optimizer)
    if not any(getattr(optimizer, name, None) for name in _CLIPS):
        yield
        return
    wrap_method(optimizer, "_clip_gradients", _clip_the_sum)
    try:
        yield
    finally:
        remove_from_method(optimizer, "_clip_gradients", _clip_the_sum)


def _clip_the_sum(method: Callable[[Any], Any], gradients: Any) -> Any:
    """The clipped sum, divided by the number of replicas: Keras adds up what each of them has."""
    context = tf.distribute.get_replica_context()
    # Those of an embedding stay in slices, which Keras clips as they are.
    there = [each for each in gradients if each is not None]
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, there))
    clipped = method([each if each is None else next(sums) for each in gradients])
    return [each if each is None else keras.ops.divide(each, context.num_replicas_in_sync) for each in clipped]
