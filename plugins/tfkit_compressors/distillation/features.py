"""Features: layers of the student that learn to give what layers of the teacher give."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfkit.errors import ModelError
from tfkit_compressors.distillation.taps import Taps
from tfkit_compressors.distillation.tensors import float32, mask_of, with_mask

Shape = tuple[int | None, ...]
_RATE = 1e-3  # Adam's, for the projections.


class Features:
    """The mean squared difference of pairs of features, the student's projected where it has other channels.

    A projection is linear over the last axis, and learns beside the student: it has an optimizer of its own and
    is gone after the fit. The student's gradient passes through it.

    Source: FitNets: hints for thin deep nets, Romero and others 2015.

    Args:
        ours: The student's layers.
        theirs: The teacher's, as many.
        reduction: As for `keras.Loss`.

    Raises:
        ModelError: Shapes differ in more than the last axis.
    """

    def __init__(self, ours: Taps, theirs: Taps, reduction: str | None) -> None:
        pairs = zip(ours.names, ours.shapes, theirs.names, theirs.shapes)
        self._projections = [_projection(*pair) for pair in pairs]
        self._variables = [each for projection in self._projections if projection for each in projection]
        self._loss = keras.losses.MeanSquaredError(reduction=reduction)
        self._optimizer = keras.optimizers.Adam(_RATE)
        self._optimizer.build(self._variables)

    def __call__(self, ours: list[Any], theirs: list[Any], sample_weight: Any) -> Any:
        """The loss of a batch, averaged over the pairs; teaches the projections too.

        Args:
            ours: Features of the student, of shape (batch, …, channels).
            theirs: Features of the teacher.
            sample_weight: A weight for each row, more where the output has more axes, or None.
        """
        theirs = [tf.stop_gradient(float32(each)) for each in theirs]
        if self._variables:
            with tf.GradientTape() as tape:
                loss = self._total([_stopped(each) for each in ours], theirs, sample_weight)
            self._optimizer.apply(tape.gradient(loss, self._variables), self._variables)
        return self._total(ours, theirs, sample_weight)

    def _total(self, ours: list[Any], theirs: list[Any], sample_weight: Any) -> Any:
        losses = [self._one(*each, sample_weight) for each in zip(ours, theirs, self._projections)]
        return sum(losses) / len(losses)

    def _one(self, ours: Any, theirs: Any, projection: Any, sample_weight: Any) -> Any:
        projected = float32(ours)
        if projection is not None:
            kernel, bias = projection
            projected = keras.ops.matmul(projected, kernel) + bias
        weight = None if sample_weight is None else _for_rows(sample_weight, len(theirs.shape) - 1)
        return self._loss(theirs, with_mask(projected, mask_of(ours)), weight)


def _stopped(tensor: Any) -> Any:
    return with_mask(tf.stop_gradient(tensor), mask_of(tensor))


def _projection(ours: str, have: Shape, theirs: str, want: Shape) -> tuple[Any, Any] | None:
    same = len(have) == len(want) and all(a is None or b is None or a == b for a, b in zip(have[:-1], want[:-1]))
    if not same or None in (have[-1], want[-1]):
        raise ModelError(
            f"features: layer {ours!r} of the student gives {have} and layer {theirs!r} of the teacher "
            f"{want}: a projection changes the last axis alone, so pair layers that are alike in the others"
        )
    if have[-1] == want[-1]:
        return None
    start = keras.initializers.GlorotUniform(seed=0)
    return (
        keras.Variable(start, shape=(have[-1], want[-1]), dtype="float32", name="projection"),
        keras.Variable("zeros", shape=(want[-1],), dtype="float32", name="projection_bias"),
    )


def _for_rows(sample_weight: Any, rank: int) -> Any:
    """One weight for each row, of shape (batch, 1, …), of weights that may have more axes."""
    weight = tf.convert_to_tensor(sample_weight)
    if len(weight.shape) > 1:
        weight = keras.ops.mean(weight, axis=tuple(range(1, len(weight.shape))))
    return keras.ops.reshape(weight, (-1,) + (1,) * (rank - 1))
