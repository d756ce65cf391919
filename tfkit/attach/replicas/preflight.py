"""What cannot be repaired for one fit is refused before its first step, with the way out."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.guard import running_callbacks
from tfkit.attach.losses import loss_name
from tfkit.attach.optimizers import batches_per_update, inner_optimizer
from tfkit.errors import ModelError
from tfkit.progress import say

_REDUCTIONS = ("mean", "sum_over_batch_size", "sum")


def refuse_keras_distribution() -> None:
    """Raises ModelError where a `keras.distribution` is set: on TensorFlow it does nothing, without a word."""
    found = keras.distribution.distribution()
    if found is not None:
        raise ModelError(
            f"keras.distribution.{type(found).__name__} is set and does nothing on the TensorFlow backend: call "
            "keras.distribution.set_distribution(None), and build the model in the scope of strategy 'mirrored' or "
            "'layer-placement'"
        )


def check_scope(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Raises ModelError unless a model was built in the scope of such a strategy."""
    has, wanted = model.distribute_strategy, type(strategy).__name__
    if strategy.num_replicas_in_sync > 1 and has.num_replicas_in_sync == 1:
        raise ModelError(
            f"model {model.name!r} was not built in the scope of a {wanted}, and trains on one device: "
            "build and compile it inside tfkit.create('strategy', …).scope()"
        )


def check_optimizer_scope(model: keras.Model) -> None:
    """Raises ModelError for an optimizer from outside the scope; Keras says "Mixing different … objects"."""
    optimizer = inner_optimizer(model.optimizer)
    if getattr(optimizer, "_distribution_strategy", model.distribute_strategy) is not model.distribute_strategy:
        raise ModelError(
            f"the optimizer {optimizer.name!r} was made outside the strategy's scope: make it, and compile the model, "
            "inside the scope"
        )


def refuse_accumulation(model: keras.Model) -> None:
    """Raises ModelError for an optimizer that accumulates gradients, which fails under several replicas."""
    steps = batches_per_update(model.optimizer)
    if steps > 1:
        raise ModelError(
            f"gradient_accumulation_steps={steps} fails under {type(model.distribute_strategy).__name__} (keras issue "
            f"20582): leave it out, multiply the batch size by {steps}, and pass "
            f"tfkit.callback('callback', 'micro-batches', steps={steps})"
        )


def refuse_reductions(model: keras.Model) -> None:
    """Raises ModelError for a loss that is neither a mean over rows nor a sum: replicas divide by what they have."""
    for loss in keras.tree.flatten(getattr(model, "loss", None)):
        reduction = getattr(loss, "reduction", _REDUCTIONS[0])
        if reduction not in _REDUCTIONS:
            raise ModelError(
                f"{loss_name(loss)} has reduction={reduction!r}, and under {type(model.distribute_strategy).__name__} "
                "is not that of one device: pass reduction='sum_over_batch_size', or train on one"
            )


def refuse_kerass_backup() -> None:
    """Raises ModelError for a BackupAndRestore among the callbacks of a fit on several workers.

    Each keeps weights and epoch by itself: workers that share its directory write over each other, and with one each
    they go on from different epochs where one was killed before it had saved.
    """
    running = running_callbacks()
    found: list[Any] = [] if running is None else running.callbacks
    if any(isinstance(each, keras.callbacks.BackupAndRestore) for each in found):
        raise ModelError(
            "BackupAndRestore does not have several workers go on from one epoch: pass "
            "tfkit.callback('callback', 'backup', directory=…) in its place"
        )


def warn_of_own_steps(model: keras.Model) -> None:
    """Says that what a model's class does by itself is not known to be right on several replicas."""
    for name in ("train_step", "compute_loss"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            say(
                f"strategy: {type(model).__name__} has a {name} of its own, where replicas with fewer rows may count "
                "as much as others: divide its loss by the rows of the whole batch there"
            )
