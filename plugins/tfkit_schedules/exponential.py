"""Exponential decay."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class Exponential(Warmup):
    """`initial * gamma ** (step / steps)`.

    Args:
        initial: Learning rate at step 0.
        gamma: Factor over `steps` steps.
        steps: Steps over which the rate is multiplied by gamma once.
        warmup: Steps of linear warm-up before.

    Example:
        >>> round(float(Exponential(initial=0.1, gamma=0.5, steps=10)(20)), 6)
        0.025
    """

    def __init__(self, *, initial: float, gamma: float, steps: int = 1, warmup: int = 0) -> None:
        super().__init__(warmup=warmup)
        self.initial = initial
        self.gamma = gamma
        self.steps = steps

    def rate(self, step: Any) -> Any:
        return self.initial * ops.power(self.gamma, step / self.steps)

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial, "gamma": self.gamma, "steps": self.steps, "warmup": self.warmup}
