"""Inverse-square-root decay."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class InverseSqrt(Warmup):
    """`initial / sqrt(1 + beta * step)`.

    Args:
        initial: Learning rate at step 0.
        beta: Decay of a step.
        warmup: Steps of linear warm-up before.

    Example:
        >>> round(float(InverseSqrt(initial=0.1, beta=1.0)(3)), 6)
        0.05
    """

    def __init__(self, *, initial: float, beta: float, warmup: int = 0) -> None:
        super().__init__(warmup=warmup)
        self.initial = initial
        self.beta = beta

    def rate(self, step: Any) -> Any:
        return self.initial / ops.sqrt(1.0 + self.beta * step)

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial, "beta": self.beta, "warmup": self.warmup}
