"""GuardedStep: a training step in whose graph nothing changes from the first one on that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.losses import loss_arguments
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.optimizers import inner_optimizer


class GuardedStep:
    """Stands around the loss, the update and the step of a model on one replica.

    Under loss scaling the update is that of the inner optimizer, which steps that overflow do not reach.

    Args:
        model: A compiled model whose optimizer is built.

    Attributes:
        batch: What the first step that is not finite was given; None where there was none, or under jit.
    """

    def __init__(self, model: keras.Model) -> None:
        self.batch: Any = None
        self._model = model
        self._bad = tf.Variable(0, trainable=False, dtype=tf.int32)
        self._around: list[tuple[Any, str, Callable[..., Any]]] = []

    def install(self) -> None:
        """Sets it around the methods; the step has to be traced anew after that."""
        model = self._model
        self._around = [
            (model, "compute_loss", self._checked_loss),
            (inner_optimizer(model.optimizer), "apply", self._checked_update),
            (model, "train_step", self._step),
        ]
        for each in self._around:
            wrap_method(*each)

    def uninstall(self) -> None:
        """Takes all of it off."""
        for each in self._around:
            remove_from_method(*each)
        self._around = []

    def is_ended(self) -> bool:
        """Whether a step was not finite."""
        return bool(self._bad.numpy() > 0)

    def _checked_loss(self, compute: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        loss = compute(*args, **kwargs)
        if loss is not None and loss_arguments(args, kwargs).get("training", True):
            self._count(tf.math.is_finite(tf.reduce_sum(loss)))
        return loss

    def _checked_update(self, apply: Callable[..., Any], grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        values = [each.values if isinstance(each, tf.IndexedSlices) else each for each in grads if each is not None]
        if values:
            self._count(tf.reduce_all([tf.reduce_all(tf.math.is_finite(each)) for each in values]))
        # A list, since Keras may hand over an iterator and the graph is made of both branches.
        variables = None if trainable_variables is None else list(trainable_variables)

        def update() -> Any:
            apply(list(grads), variables)
            return tf.constant(0)

        return tf.cond(self._bad == 0, update, lambda: tf.constant(0))

    def _step(self, step: Callable[..., Any], data: Any) -> Any:
        statistics = [each for each in self._model.non_trainable_variables if "float" in str(each.dtype)]
        before = [tf.identity(each.value) for each in statistics]
        good = tf.equal(self._bad, 0)
        logs = step(data)
        ended = self._bad > 0
        for variable, value in zip(statistics, before):
            variable.assign(tf.where(ended, value, variable.value))
        if not self._model.jit_compile:
            self._keep(data, tf.logical_and(good, ended))
        if "loss" in logs:
            # Keras shows the mean over an epoch, which a gradient alone leaves finite.
            nan = tf.constant(float("nan"), logs["loss"].dtype)
            logs = {**logs, "loss": tf.where(ended, nan, logs["loss"])}
        return logs

    def _keep(self, data: Any, is_first: Any) -> None:
        tensors = tf.nest.flatten(data)

        def keep(*given: Any) -> Any:
            leaves = iter(given)
            self.batch = tf.nest.pack_sequence_as(data, [each if each is None else next(leaves) for each in tensors])
            return 0

        def kept() -> Any:
            return tf.numpy_function(keep, [each for each in tensors if each is not None], tf.int64)

        if all(each is None or tf.is_tensor(each) for each in tensors):
            tf.cond(is_first, kept, lambda: tf.constant(0, tf.int64))

    def _count(self, is_finite: Any) -> None:
        self._bad.assign_add(tf.cast(tf.logical_not(is_finite), tf.int32))
