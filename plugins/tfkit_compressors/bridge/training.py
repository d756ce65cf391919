"""Training a tf_keras model as its Keras 3 original is compiled."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit import Data
from tfkit.attach import deadline
from tfkit.attach.optimizers import inner_optimizer
from tfkit.errors import ModelError
from tfkit.models import require_compiled
from tfkit.nests import leaves
from tfkit.reasons import reason
from tfkit_compressors import tfmot

_REDUCTIONS = {"sum_over_batch_size": "sum_over_batch_size", "mean": "sum_over_batch_size", "sum": "sum"}
# Settings of Keras 3's optimizers that tf_keras has not, and the values that ask for nothing.
_NOTHING = {"gradient_accumulation_steps": (None,), "loss_scale_factor": (None, 1.0)}


def fit(
    legacy: Any,
    model: Any,
    data: Data,
    *,
    epochs: int,
    learning_rate: float | None = None,
    callbacks: Sequence[Any] = (),
) -> None:
    """Trains a tf_keras model on the train part with the optimizer and the loss of a Keras 3 model.

    It ends early where there is a deadline, as every fit of a compressor does.

    Args:
        legacy: The tf_keras model; it is compiled here.
        model: A compiled Keras 3 model, which stays as it is.
        data: The train part is fitted.
        epochs: Epochs; 0 only compiles.
        learning_rate: Instead of the optimizer's own; None for that.
        callbacks: tf_keras callbacks.

    Raises:
        ModelError: The model is not compiled, has several outputs, or has an optimizer or a loss that
            tf_keras cannot follow; the text names it.
    """
    require_one_output(require_compiled(model))
    legacy.compile(optimizer_twin(model.optimizer, learning_rate), loss_twin(model))
    if epochs:
        every = [*callbacks, *(_callback_twin(each, legacy) for each in deadline.callbacks())]
        legacy.fit(data.dataset("train"), epochs=epochs, shuffle=False, callbacks=every, verbose=0)


def _callback_twin(callback: Any, legacy: Any) -> Any:
    """A tf_keras callback that does at the end of a batch what one of Keras 3 does."""
    callback.set_model(legacy)
    return tfmot.tf_keras().callbacks.LambdaCallback(on_batch_end=callback.on_train_batch_end)


def require_one_output(model: Any) -> Any:
    """Returns the model if it has one output.

    Raises:
        ModelError: It has several.
    """
    if len(model.outputs) > 1:
        raise ModelError(
            f"model {model.name!r} has {len(model.outputs)} outputs; TFMOT's compressors take models of one"
        )
    return model


def optimizer_twin(optimizer: Any, learning_rate: float | None = None) -> Any:
    """A tf_keras optimizer of the same name and settings, which has counted as many steps.

    Raises:
        ModelError: tf_keras has no such optimizer, or not that setting of it.

    Example:
        >>> made = optimizer_twin(keras.optimizers.Adam(0.25, beta_1=0.5))
        >>> type(made).__name__, float(made.learning_rate), made.beta_1
        ('Adam', 0.25, 0.5)
    """
    optimizer = inner_optimizer(optimizer)
    name = type(optimizer).__name__
    same = getattr(tfmot.tf_keras().optimizers, name, None)
    if same is None or not type(optimizer).__module__.startswith("keras."):
        raise ModelError(f"the optimizer {name} cannot be carried to tf_keras, which has none of that name")
    config = optimizer.get_config()
    for key, nothing in _NOTHING.items():
        if config.pop(key, None) not in nothing:
            raise ModelError(f"the optimizer {name} cannot be carried to tf_keras, which has no {key}")
    config["learning_rate"] = _learning_rate(config["learning_rate"]) if learning_rate is None else learning_rate
    known = inspect.signature(same.__init__).parameters
    made = same(**{key: value for key, value in config.items() if key in known})
    made.iterations.assign(int(optimizer.iterations))
    return made


def loss_twin(model: Any) -> Any:
    """The loss of a compiled model of one output, as a tf_keras loss that calls it.

    Raises:
        ModelError: It weights or reduces the loss in a way that tf_keras has not.
    """
    if model.get_compile_config().get("loss_weights") is not None:
        raise ModelError(f"model {model.name!r} is compiled with loss_weights, which are not carried to tf_keras")
    (given,) = leaves(model.loss)
    try:
        loss = keras.losses.get(given)
    except ValueError as error:
        raise ModelError(f"the loss of model {model.name!r} cannot be carried to tf_keras: {reason(error)}") from error
    if not isinstance(loss, keras.losses.Loss):
        return _loss_class()(loss, "sum_over_batch_size")
    if loss.reduction not in _REDUCTIONS or getattr(loss, "ignore_class", None) is not None:
        raise ModelError(
            f"the loss {type(loss).__name__} of model {model.name!r} cannot be carried to tf_keras: "
            f"reduction={loss.reduction!r}, ignore_class={getattr(loss, 'ignore_class', None)!r}"
        )
    return _loss_class()(loss.call, _REDUCTIONS[loss.reduction])


def _learning_rate(given: Any) -> Any:
    """A number, or a schedule that calls Keras 3's."""
    if not isinstance(given, dict):
        return given
    return _schedule_class()(keras.optimizers.schedules.deserialize(given))


@functools.cache
def _schedule_class() -> type:
    class Schedule(tfmot.tf_keras().optimizers.schedules.LearningRateSchedule):
        def __init__(self, schedule: Any) -> None:
            self.schedule = schedule

        def __call__(self, step: Any) -> Any:
            return self.schedule(step)

        def get_config(self) -> dict[str, Any]:
            return {"schedule": self.schedule}

    return Schedule


@functools.cache
def _loss_class() -> type:
    class Loss(tfmot.tf_keras().losses.Loss):
        """One value a row from a function of Keras 3; tf_keras weights and reduces them."""

        def __init__(self, function: Any, reduction: str) -> None:
            super().__init__(reduction)
            self.function = function

        @tf.autograph.experimental.do_not_convert
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self.function(y_true, y_pred)

    return Loss
