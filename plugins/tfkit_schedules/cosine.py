"""Cosine annealing."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class Cosine(Warmup):
    """`final + (initial - final) * (1 + cos(pi * step / steps)) / 2`, then `final`.

    Source: SGDR, Loshchilov and Hutter 2017, without restarts.

    Args:
        initial: Learning rate at step 0.
        steps: Steps until the final rate.
        final: Learning rate from the last step on.
        warmup: Steps of linear warm-up before.

    Example:
        >>> schedule = Cosine(initial=0.1, steps=100)
        >>> [round(float(schedule(step)), 6) for step in (0, 50, 100, 200)]
        [0.1, 0.05, 0.0, 0.0]
    """

    def __init__(self, *, initial: float, steps: int, final: float = 0.0, warmup: int = 0) -> None:
        super().__init__(warmup=warmup)
        self.initial = initial
        self.steps = steps
        self.final = final

    def rate(self, step: Any) -> Any:
        share = ops.minimum(step / self.steps, 1.0)
        return self.final + (self.initial - self.final) * 0.5 * (1.0 + ops.cos(math.pi * share))

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial, "steps": self.steps, "final": self.final, "warmup": self.warmup}
