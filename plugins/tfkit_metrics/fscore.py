"""F1 and F-beta."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfkit_metrics.averaged import Averaged
from tfkit_metrics.averages import Counts, ratio


@keras.saving.register_keras_serializable(package="tfkit")
class F1(Averaged):
    """Harmonic mean of precision and recall. Arguments as `Averaged`.

    Example:
        >>> metric = F1(average="macro")
        >>> scores = [[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.0, 0.1, 0.9], [0.0, 0.3, 0.7]]
        >>> round(float(metric(y_true=[0, 1, 2, 2], y_pred=scores)), 4)
        0.6
    """

    def score(self, counts: Counts) -> tf.Tensor:
        return _fbeta(counts, 1.0, self.zero_division)


@keras.saving.register_keras_serializable(package="tfkit")
class Fbeta(Averaged):
    """Harmonic mean of precision and recall, recall counting `beta` times as much. Other arguments as `Averaged`.

    Args:
        beta: How many times recall counts as much as precision; > 0.
        **averaged: As `Averaged`.

    Example:
        >>> round(float(Fbeta(beta=2.0, average="binary")(y_true=[0, 1, 1], y_pred=[0.7, 0.6, 0.2])), 4)
        0.5
    """

    def __init__(self, *, beta: float, **averaged: Any) -> None:
        super().__init__(**averaged)
        self.beta = beta

    def score(self, counts: Counts) -> tf.Tensor:
        return _fbeta(counts, self.beta, self.zero_division)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta": self.beta}


def _fbeta(counts: Counts, beta: float, zero_division: float) -> tf.Tensor:
    square = beta * beta
    return ratio((1 + square) * counts.hits, square * counts.actual + counts.predicted, zero_division)
