"""Sharpness-aware minimization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.train_steps import TrainStep, apply, forward, gradients, note


class SharpnessAware(TrainStep):
    """Steps by the gradient at the worst point within `rho` of the weights, in place of that at the weights.

    Source: Foret et al. 2021. A step computes two gradients and takes about twice the time. The weights are not moved
    for the second one: it is taken at values beside them, with the same dropout masks and without a second update of
    BatchNormalization's statistics; the loss and the metrics are those at the weights. Under Mirrored the worst point
    is that of the whole batch, as on one device. Works with sample_weight, regularizers, jit and mixed precision.

    Args:
        rho: The distance, in the Euclidean norm over all trainable weights.

    Raises:
        ModelError: As for `TrainStep`.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        >>> model.compile(keras.optimizers.SGD(0.1), "mse")
        >>> ones = np.ones((4, 1), "float32")
        >>> history = model.fit(ones, 3 * ones, callbacks=[SharpnessAware(rho=0.5)], verbose=0)
        >>> round(float(model.get_weights()[1][0]), 4)  # plain: 0.1 * 2 * 2 = 0.4
        0.5414
    """

    name = "sam"

    def __init__(self, *, rho: float = 0.05) -> None:
        super().__init__()
        self.rho = rho

    def step(self, model: keras.Model, data: Any) -> dict[str, Any]:
        batch = keras.utils.unpack_x_y_sample_weight(data)
        seeds = [(each, tf.identity(each.value)) for each in self._states(model) if not _is_float(each)]
        loss, y_pred, found = gradients(model, batch)
        apply(model, self._at_worst(model, batch, found, seeds))
        return note(model, batch, loss, y_pred)

    def _states(self, model: keras.Model) -> list[Any]:
        assert self._guard is not None
        return [
            *model.non_trainable_variables,
            *(state for each in self._guard.attached for state in each.random_states),
        ]

    def _at_worst(
        self, model: keras.Model, batch: Sequence[Any], found: Sequence[Any], seeds: Sequence[Any]
    ) -> list[Any]:
        weights = model.trainable_weights
        ascent = _over_replicas(found)
        norm = tf.linalg.global_norm([each for each in ascent if each is not None])
        moved = [_moved(weight.value, each, self.rho / (norm + 1e-12)) for weight, each in zip(weights, ascent)]
        with tf.GradientTape() as tape, keras.StatelessScope([*zip(weights, moved), *seeds], collect_losses=True):
            tape.watch(moved)
            loss, _ = forward(model, batch)
            scaled = model.optimizer.scale_loss(loss)
        return list(tape.gradient(scaled, moved))


def _moved(value: Any, gradient: Any, factor: Any) -> Any:
    return tf.identity(value) if gradient is None else value + tf.cast(factor, value.dtype) * gradient


def _over_replicas(found: Sequence[Any]) -> list[Any]:
    """The gradients of the whole batch: each replica has those of its part, of a loss divided by their number."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return list(found)
    there = [each for each in found if each is not None]
    context = tf.distribute.get_replica_context()
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, there))
    return [each if each is None else next(summed) for each in found]


def _is_float(variable: Any) -> bool:
    return keras.backend.is_float_dtype(variable.dtype)
