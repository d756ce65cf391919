"""Mixing, the base of callbacks that mix the rows of a batch with each other."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfkit
from tfkit.attach.losses import LossShares, call_loss, loss_arguments
from tfkit.attach.methods import functions_of, remove_from_method, wrap_method
from tfkit_callbacks.batch_change import BatchChange, fold_in, uniform
from tfkit_callbacks.mixing.labels import Mixed, in_order, mixed_loss

_DRAWS = 2**16


class Mixing(BatchChange):
    """Mixes each row of a batch with another of it, by one share for the batch, from Beta(alpha, alpha).

    Works with class ids, one-hot rows, labels that are each true or not, and numbers, with weights of rows and of
    classes, which stay with their labels; under a strategy the rows of a replica are mixed with each other. Metrics
    of the epoch are of the labels with the larger share. With class ids a `compute_loss` of the model's own is called
    twice for a batch, once for each part of the labels.

    Args:
        alpha: Of the Beta distribution: the larger, the more alike the two shares.
        seed: Of what is random.

    Raises:
        ModelError: When the fit begins, if the model is not built or not compiled, has a `train_step` of its own, or
            another such callback is there; in the first step, if there is not a label for each output, or labels by
            name have other names than the outputs.
        DataError: In the first step, if the inputs or labels cannot be mixed, or weights do not fit the labels.
    """

    def __init__(self, *, alpha: float, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.alpha = alpha
        # Drawn beforehand: XLA knows no gamma distribution, which a Beta one is made of.
        self._shares = np.random.default_rng(seed).beta(alpha, alpha, _DRAWS).astype("float32")
        self._shares_of_losses: LossShares | None = None

    def mix(self, x: Any, partners: Any, share: Any, seed: Any) -> tuple[Any, Any]:
        """The mixed inputs, and the share that the rows have of them.

        Args:
            x: Inputs.
            partners: For each row the number of the one that is mixed into it.
            share: The share that the rows are to have.
            seed: Two int32.
        """
        raise NotImplementedError

    def install(self, model: keras.Model) -> None:
        self._check(model)
        super().install(model)
        self._shares_of_losses = None if model.loss is None else LossShares(model)
        if self._shares_of_losses is not None:
            self._shares_of_losses.install()
        wrap_method(model, "compute_loss", self._loss)
        wrap_method(model, "compute_metrics", self._metrics)

    def uninstall(self, model: keras.Model) -> None:
        super().uninstall(model)
        if self._shares_of_losses is not None:
            self._shares_of_losses.uninstall()
        remove_from_method(model, "compute_loss", self._loss)
        remove_from_method(model, "compute_metrics", self._metrics)

    def change(self, x: Any, y: Any, sample_weight: Any, seed: Any) -> tuple[Any, Any, Any]:
        if y is None:
            raise tfkit.DataError(f"{self.name} mixes labels, and the batches have none: fit on (x, y)")
        rows = tf.shape(keras.tree.flatten(y)[0])[0]
        drawn = uniform((), fold_in(seed, 0), maxval=_DRAWS, dtype=tf.int32)
        partners = tf.argsort(uniform((rows,), fold_in(seed, 1)))
        x, share = self.mix(x, partners, tf.gather(self._shares, drawn), fold_in(seed, 2))
        others, other_weights = taken(y, partners), taken(sample_weight, partners)
        mixed = Mixed(y, others, sample_weight, other_weights, tf.fill([rows], share))
        # The weights are for what else weighs rows, such as another callback's loss.
        return x, mixed, mixed.weight()

    def _loss(self, compute_loss: Any, *args: Any, **kwargs: Any) -> Any:
        given = loss_arguments(args, kwargs)
        mixed = given.get("y")
        if not isinstance(mixed, Mixed):
            return compute_loss(*args, **kwargs)

        def loss(labels: Any, weight: Any, share: Any) -> Any:
            with contextlib.nullcontext() if self._shares_of_losses is None else self._shares_of_losses.share(share):
                return call_loss(compute_loss, given, y=labels, sample_weight=weight)

        names = getattr(self.model, "output_names", None)
        return mixed_loss(loss, in_order(mixed, given["y_pred"], names), given["y_pred"])

    def _metrics(self, compute_metrics: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if isinstance(y, Mixed):
            y, sample_weight = y.dominant()
        return compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _check(self, model: keras.Model) -> None:
        if type(model).train_step is not keras.Model.train_step:
            raise tfkit.ModelError(
                f"{self.name} mixes labels on their way to the loss, and {type(model).__name__} has a train_step of "
                "its own: mix them there, or train a keras.Model without one"
            )
        for each in functions_of(model, "train_step"):
            other = getattr(each, "__self__", None)
            if isinstance(other, Mixing):
                raise tfkit.ModelError(f"{self.name} and {other.name} both mix the batches: keep one of them")


def taken(structure: Any, rows: Any) -> Any:
    """Rows of each tensor in a nest, in their order."""
    return keras.tree.map_structure(lambda leaf: leaf if leaf is None else tf.gather(leaf, rows), structure)
