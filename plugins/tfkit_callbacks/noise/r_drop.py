"""R-Drop: two passes with dropout that are to agree."""

from __future__ import annotations

from typing import Any

import keras

import tfkit
from tfkit.attach.attached import Attached
from tfkit.attach.dropout import rates
from tfkit.attach.losses import (
    Crossentropy,
    call_loss,
    compiled_losses,
    crossentropy_of,
    loss_arguments,
    loss_name,
    require_loss,
)
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.variables import layers_in
from tfkit.models import require_compiled
from tfkit_callbacks.label_smoothing import require_training_argument

_LEAST = 1e-7  # as Keras's crossentropies take a probability of 0


class RDrop(Attached):
    """Passes each batch through the model twice, with dropout of their own, and adds how far the two are apart.

    The loss is the mean of the two passes' and alpha times the mean of KL(first ‖ second) and KL(second ‖ first), over
    rows, by their weights (Liang et al. 2021, "R-Drop"). Classes and labels that are true or not, probabilities or
    logits, several outputs. Metrics are of the first pass. A step takes about twice the time, statistics
    of BatchNormalization are updated twice. The loss of validation is as ever; but a `test_step` of the model's own
    that calls `compute_loss` without `training=False` is taken for training, which is the default there.

    Args:
        alpha: What the divergence counts.

    Raises:
        ModelError: When the fit begins or in its first step, if the model is not built or not compiled with a loss,
            nothing in it is random, or a loss is no crossentropy.

    Example:
        >>> import numpy as np
        >>> layers = [keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> history = model.fit(np.ones((6, 4)), np.zeros(6), callbacks=[RDrop(alpha=0.5)], verbose=0)
        >>> sorted(history.history)
        ['loss']
    """

    def __init__(self, *, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def install(self, model: keras.Model) -> None:
        require_training_argument(require_compiled(model), "r-drop")
        require_loss(model)
        wrap_method(model, "compute_loss", self._loss)

    def uninstall(self, model: keras.Model) -> None:
        remove_from_method(model, "compute_loss", self._loss)

    def _loss(self, compute_loss: Any, *args: Any, **kwargs: Any) -> Any:
        given = loss_arguments(args, kwargs)
        if not given.get("training", True):
            return compute_loss(*args, **kwargs)
        x = given.get("x")
        self._check(self.model, x)
        own = compute_loss(*args, **kwargs)
        second = self.model(x, training=True)
        own = (own + call_loss(compute_loss, given, y_pred=second)) / 2
        return own + self.alpha * self._apart(given["y_pred"], second, given.get("sample_weight"))

    def _apart(self, first: Any, second: Any, sample_weight: Any) -> Any:
        total = 0.0
        for each in compiled_losses(self.model):
            kind = crossentropy_of(each.loss)
            if kind is None:
                raise tfkit.ModelError(
                    "r-drop compares probabilities, those of Keras's crossentropies; the loss is "
                    f"{loss_name(each.loss)}: train without it"
                )
            if getattr(each.loss, "ignore_class", None) is not None:
                raise tfkit.ModelError(
                    f"r-drop counts every row, and a loss has ignore_class={each.loss.ignore_class}: give such rows a "
                    "sample_weight of 0 instead"
                )
            apart = _Divergence(kind, reduction=each.loss.reduction, dtype=each.loss.dtype)
            weight = None if sample_weight is None else each.of(sample_weight)
            total += each.weight * apart(each.of(first), each.of(second), weight)
        return total

    def _check(self, model: keras.Model, x: Any) -> None:
        if x is None:
            raise tfkit.ModelError(f"the train_step of model {model.name!r} gives compute_loss no x: r-drop reads it")
        assert self._guard is not None
        inserted = [state for each in self._guard.attached for state in each.random_states]
        if not inserted and not any(rate > 0 for rate in rates(model)) and not _has_noise(model):
            raise tfkit.ModelError(
                f"r-drop compares two passes with dropout, and model {model.name!r} has none: add the callback "
                "dropout, or build it with keras.layers.Dropout"
            )


class _Divergence(keras.losses.Loss):
    """The mean of both KL divergences of a row; weights, masks and replicas are those of any loss."""

    def __init__(self, kind: Crossentropy, **kwargs: Any) -> None:
        super().__init__(name="r_drop", **kwargs)
        self.kind = kind

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # Half of KL(p ‖ q) + KL(q ‖ p) is half of the sum of (p − q) · (log p − log q).
        if self.kind.labels == "binary":
            logs = [_log_sigmoid(each, self.kind.from_logits) for each in (y_true, y_pred)]
            parts = [_symmetric(*pair) for pair in zip(*logs)]
            return keras.ops.mean(sum(parts), axis=-1)
        one, other = (_log_softmax(each, self.kind) for each in (y_true, y_pred))
        return keras.ops.sum(_symmetric(one, other), axis=self.kind.axis)


def _symmetric(one: Any, other: Any) -> Any:
    return 0.5 * (keras.ops.exp(one) - keras.ops.exp(other)) * (one - other)


def _log_softmax(predicted: Any, kind: Crossentropy) -> Any:
    if kind.from_logits:
        return keras.ops.log_softmax(predicted, axis=kind.axis)
    return keras.ops.log(keras.ops.clip(predicted, _LEAST, 1.0))


def _log_sigmoid(predicted: Any, from_logits: bool) -> tuple[Any, Any]:
    """The logarithms of the probabilities that a label is true, and that it is not."""
    if from_logits:
        return keras.ops.log_sigmoid(predicted), keras.ops.log_sigmoid(-predicted)
    kept = keras.ops.clip(predicted, _LEAST, 1 - _LEAST)
    return keras.ops.log(kept), keras.ops.log(1 - kept)


def _has_noise(model: keras.Model) -> bool:
    return any(isinstance(layer, keras.layers.GaussianNoise) and layer.stddev > 0 for layer in layers_in(model))
