"""Label smoothing for every form of labels."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

import keras

import tfkit
from tfkit.attach.attached import Attached
from tfkit.attach.losses import Crossentropy, LossesAround, crossentropy_of, loss_arguments, loss_name
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.models import require_compiled


class LabelSmoothing(Attached):
    """Trains on labels in some doubt: (1 − smoothing) of what they are, the rest spread over all classes.

    As Keras's `label_smoothing` for one-hot rows, of n classes 1 / n each, and for labels that are true or not, one
    half; and the same for class ids, where Keras has none. Works with weights, masks, `ignore_class` and focal losses.
    The losses of validation and of `evaluate` stay as they are, where Keras smooths those too; but a `test_step` of the
    model's own that calls `compute_loss` without `training=False` is taken for training, which is the default there.

    Source: Szegedy et al. 2016.

    Args:
        smoothing: The part that is spread, in (0, 1).

    Raises:
        ModelError: When the fit begins or in its first step, if the model is not built or not compiled with a loss, one
            is no crossentropy or smooths labels itself.
        DataError: In the first step, if labels have another form than their loss takes.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax", kernel_initializer="ones")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> history = model.fit(np.ones((4, 2)), np.zeros(4), callbacks=[LabelSmoothing(smoothing=0.2)], verbose=0)
        >>> round(history.history["loss"][0], 4)  # whatever the labels are: log 2
        0.6931
    """

    def __init__(self, *, smoothing: float = 0.1) -> None:
        super().__init__()
        self.smoothing = smoothing
        self._losses: LossesAround | None = None
        # Replicas are traced in threads of their own.
        self._step = threading.local()
        self._is_reached = False

    def install(self, model: keras.Model) -> None:
        require_training_argument(require_compiled(model), "label-smoothing")
        self._is_reached = False
        self._losses = LossesAround(model, self._around)
        self._losses.install()
        wrap_method(model, "compute_loss", self._loss)

    def uninstall(self, model: keras.Model) -> None:
        remove_from_method(model, "compute_loss", self._loss)
        if self._losses is not None:
            self._losses.uninstall()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._is_reached:
            raise tfkit.ModelError(
                f"the training step of model {self.model.name!r} does not compute the loss that it was compiled with, "
                "where label-smoothing smooths labels: call self.compute_loss(x, y, y_pred, …) there"
            )

    def _loss(self, compute_loss: Any, *args: Any, **kwargs: Any) -> Any:
        self._step.is_training = loss_arguments(args, kwargs).get("training", True)
        try:
            return compute_loss(*args, **kwargs)
        finally:
            self._step.is_training = False

    def _around(self, loss: keras.Loss) -> Callable[..., Any]:
        kind = crossentropy_of(loss)
        if kind is None:
            raise tfkit.ModelError(
                f"label-smoothing smooths the labels of Keras's crossentropies; the loss is {loss_name(loss)}: "
                "train without it"
            )
        own = loss.get_config().get("label_smoothing") or getattr(loss, "_fn_kwargs", {}).get("label_smoothing")
        if own:
            raise tfkit.ModelError(f"the loss {loss_name(loss)} has label_smoothing={own} itself: keep one of the two")
        return functools.partial(self._smoothed, kind)

    def _smoothed(self, kind: Crossentropy, call: Any, y_true: Any, y_pred: Any) -> Any:
        if not getattr(self._step, "is_training", False):
            return call(y_true, y_pred)
        self._is_reached = True
        _check_form(kind, y_true, y_pred)
        if kind.labels == "ids":
            return self._of_ids(kind, call, y_true, y_pred)
        spread = 0.5 if kind.labels == "binary" else 1 / y_pred.shape[kind.axis]
        return call(y_true * (1 - self.smoothing) + self.smoothing * spread, y_pred)

    def _of_ids(self, kind: Crossentropy, call: Any, y_true: Any, y_pred: Any) -> Any:
        """(1 − smoothing) of the loss, and of that of rows with 1 / n for each class the rest."""
        rows = call(y_true, y_pred)
        even = keras.ops.full_like(y_pred, 1 / y_pred.shape[kind.axis])
        spread = keras.losses.categorical_crossentropy(even, y_pred, from_logits=kind.from_logits, axis=kind.axis)
        mask = getattr(rows, "_keras_mask", None)  # of rows whose class is ignored
        if mask is None:
            return (1 - self.smoothing) * rows + self.smoothing * spread
        found = keras.ops.where(mask, (1 - self.smoothing) * rows + self.smoothing * spread, 0.0)
        found._keras_mask = mask
        return found


def require_training_argument(model: keras.Model, name: str) -> None:
    """Raises ModelError if a model's `compute_loss` cannot tell training from validation."""
    if "training" not in inspect.signature(model.compute_loss).parameters:
        raise tfkit.ModelError(
            f"{name}: the compute_loss of model {model.name!r} takes no argument 'training', so that training cannot "
            "be told from validation: add it"
        )


def _check_form(kind: Crossentropy, y_true: Any, y_pred: Any) -> None:
    own, theirs = tuple(y_true.shape), tuple(y_pred.shape)
    are_rows = len(own) == len(theirs) and own[-1] == theirs[-1]
    if kind.labels == "ids" and are_rows and own[-1] != 1:
        raise tfkit.DataError(
            f"the labels have shape {own}, which are one-hot rows, and the loss takes class ids: compile with "
            "categorical_crossentropy"
        )
    if kind.labels == "one-hot" and not are_rows:
        raise tfkit.DataError(
            f"the labels have shape {own}, which are class ids, and the loss takes one-hot rows like the predictions, "
            f"of shape {theirs}: compile with sparse_categorical_crossentropy"
        )
