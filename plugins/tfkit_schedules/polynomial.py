"""Polynomial decay."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class Polynomial(Warmup):
    """`final + (initial - final) * (1 - step / steps) ** power`, then `final`.

    Args:
        initial: Learning rate at step 0.
        steps: Steps until the final rate.
        final: Learning rate from the last step on.
        power: 1 is a straight line; a larger one falls earlier.
        warmup: Steps of linear warm-up before.

    Example:
        >>> schedule = Polynomial(initial=0.1, steps=100, power=2.0)
        >>> [round(float(schedule(step)), 6) for step in (0, 50, 100, 200)]
        [0.1, 0.025, 0.0, 0.0]
    """

    def __init__(self, *, initial: float, steps: int, final: float = 0.0, power: float = 1.0, warmup: int = 0) -> None:
        super().__init__(warmup=warmup)
        self.initial = initial
        self.steps = steps
        self.final = final
        self.power = power

    def rate(self, step: Any) -> Any:
        # What is left is exactly 0 at the end: 1 - step / steps is not in a graph, and a root makes much of it.
        left = ops.maximum(self.steps - step, 0.0) / self.steps
        return self.final + (self.initial - self.final) * ops.power(left, self.power)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial": self.initial,
            "steps": self.steps,
            "final": self.final,
            "power": self.power,
            "warmup": self.warmup,
        }
