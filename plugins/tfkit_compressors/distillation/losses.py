"""The distillation loss: how far the student's softened answers are from the teacher's."""

from __future__ import annotations

from typing import Any

import keras

from tfkit_compressors.distillation.heads import REGRESSION, SOFTMAX
from tfkit_compressors.distillation.tensors import float32, log


def softened(outputs: Any, task: str, temperature: float) -> Any:
    """What a model answers at a temperature.

    Args:
        outputs: Its logits, of shape (batch, …, classes); for "regression" its values.
        task: "softmax", "sigmoid" or "regression".
        temperature: What logits are divided by; "regression" knows none.

    Returns:
        Probabilities of the same shape, float32; for "regression" the values.

    Example:
        >>> softened([[0.0, 0.0]], "softmax", 4.0).numpy().tolist()
        [[0.5, 0.5]]
    """
    outputs = float32(outputs)
    if task == REGRESSION:
        return outputs
    return (keras.ops.softmax if task == SOFTMAX else keras.ops.sigmoid)(outputs / temperature)


def divergence(taught: Any, outputs: Any, task: str, temperature: float) -> Any:
    """The distillation loss of each row.

    For "softmax" T² · Σ p (log p − log q), q the student's softmax at temperature T; for "sigmoid" the same of
    each label's two probabilities, averaged over labels; for "regression" the mean squared difference. T²
    keeps the size of the gradients at any T.

    Source: Distilling the knowledge in a neural network, Hinton, Vinyals and Dean 2015.

    Args:
        taught: What the teacher answers at the temperature, as `softened` gives it.
        outputs: The student's logits or values, of the same shape.
        task: "softmax", "sigmoid" or "regression".
        temperature: T.

    Returns:
        A tensor without the last axis, in nats; in squared units of the values for "regression".

    Example:
        >>> taught = softened([[2.0, 0.0]], "softmax", 1.0)
        >>> [round(float(each), 4) for each in divergence(taught, [[0.0, 0.0]], "softmax", 1.0)]
        [0.3278]
    """
    taught, outputs = float32(taught), float32(outputs)
    if task == REGRESSION:
        return keras.ops.mean(keras.ops.square(taught - outputs), axis=-1)
    logits = outputs / temperature
    if task == SOFTMAX:
        nats = keras.ops.sum(taught * (log(taught) - keras.ops.log_softmax(logits)), axis=-1)
    else:
        yes = taught * (log(taught) - keras.ops.log_sigmoid(logits))
        no = (1 - taught) * (log(1 - taught) - keras.ops.log_sigmoid(-logits))
        nats = keras.ops.mean(yes + no, axis=-1)
    return nats * temperature**2


class SoftTargets(keras.losses.Loss):
    """`divergence` as a Keras loss: with sample weights, masks and the reduction of the loss it stands beside."""

    def __init__(self, task: str, temperature: float, reduction: str | None = "sum_over_batch_size") -> None:
        super().__init__(name="distillation", reduction=reduction)
        self.task = task
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return divergence(y_true, y_pred, self.task, self.temperature)
