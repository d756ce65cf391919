"""TrainStep, the base of callbacks that replace the training step of a model, and what steps are made of.

The one place that knows what Keras's own `train_step` calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.attached import Attached
from tfkit.attach.methods import functions_of, remove_from_method, replace_method
from tfkit.errors import ModelError
from tfkit.models import require_compiled


class TrainStep(Attached):
    """Has a fit run `step` for each batch, within what other callbacks put around the training step.

    Attributes:
        name: What the callback is called in errors.

    Raises:
        ModelError: When the fit begins, if the model is not built or not compiled, has a `train_step` of its own, or
            another such callback is there.
    """

    name = "train-step"

    def step(self, model: keras.Model, data: Any) -> dict[str, Any]:
        """Trains on a batch and returns its logs; runs in the graph, in each replica.

        Args:
            model: The model.
            data: `(x, y)` or `(x, y, sample_weight)` as Keras gives it to `train_step`.
        """
        raise NotImplementedError

    def install(self, model: keras.Model) -> None:
        _check(require_compiled(model), self.name)
        replace_method(model, "train_step", self._step)

    def uninstall(self, model: keras.Model) -> None:
        remove_from_method(model, "train_step", self._step)

    def _step(self, replaced: Any, data: Any) -> dict[str, Any]:
        return self.step(self.model, data)


def forward(model: keras.Model, batch: Sequence[Any]) -> tuple[Any, Any]:
    """The training loss on a batch, `(x, y, sample_weight)`, and the predictions that it is of."""
    x, y, sample_weight = batch
    y_pred = model(x, training=True) if model._call_has_training_arg else model(x)
    loss = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
    return loss, y_pred


def gradients(model: keras.Model, batch: Sequence[Any], share: Any = 1.0) -> tuple[Any, Any, list[Any]]:
    """The loss, the predictions, and the gradients of `share` times the loss as the optimizer takes them, scaled."""
    with tf.GradientTape() as tape:
        loss, y_pred = forward(model, batch)
        scaled = model.optimizer.scale_loss(loss * tf.cast(share, loss.dtype))
    found = tape.gradient(scaled, [weight.value for weight in model.trainable_weights])
    # Those of an embedding come in slices.
    return loss, y_pred, [each if each is None else tf.convert_to_tensor(each) for each in found]


def apply(model: keras.Model, found: Sequence[Any]) -> None:
    """One update by gradients of the trainable weights."""
    model.optimizer.apply_gradients(zip(found, model.trainable_weights))


def note(model: keras.Model, batch: Sequence[Any], loss: Any, y_pred: Any) -> dict[str, Any]:
    """Counts a batch in the loss and the metrics of the epoch, and returns them."""
    x, y, sample_weight = batch
    # Keras divides a loss by the number of replicas, whose gradients it adds.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    model._loss_tracker.update_state(loss * replicas, sample_weight=rows_of(x))
    return dict(model.compute_metrics(x, y, y_pred, sample_weight=sample_weight))


def rows_of(structure: Any) -> Any:
    """The number of rows of a batch, as a tensor."""
    return tf.shape(next(leaf for leaf in keras.tree.flatten(structure) if leaf is not None))[0]


def _check(model: keras.Model, name: str) -> None:
    if type(model).train_step is not keras.Model.train_step:
        raise ModelError(
            f"{name} replaces the training step, and {type(model).__name__} has a train_step of its own: "
            "do there what it does, or train a keras.Model without one"
        )
    for each in functions_of(model, "train_step"):
        other = getattr(each, "__self__", None)
        if isinstance(other, TrainStep):
            raise ModelError(f"{name} and {other.name} both replace the training step: keep one of them")
