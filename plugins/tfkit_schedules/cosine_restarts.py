"""Cosine annealing with warm restarts."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class CosineRestarts(Warmup):
    """Cosine annealing from `initial` to `final` that begins again, each time `factor` times as long.

    Source: SGDR, Loshchilov and Hutter 2017. It never ends; the last rate before a restart is not quite `final`.

    Args:
        initial: Learning rate at step 0 and at each restart.
        steps: Steps until the first restart.
        final: Learning rate that each period falls to.
        factor: Length of a period over that of the one before, at least 1.
        warmup: Steps of linear warm-up before.

    Example:
        >>> schedule = CosineRestarts(initial=0.1, steps=10)
        >>> [round(float(schedule(step)), 6) for step in (0, 5, 10, 20, 30)]
        [0.1, 0.05, 0.1, 0.05, 0.1]
    """

    def __init__(self, *, initial: float, steps: int, final: float = 0.0, factor: float = 2.0, warmup: int = 0) -> None:
        super().__init__(warmup=warmup)
        self.initial = initial
        self.steps = steps
        self.final = final
        self.factor = factor

    def rate(self, step: Any) -> Any:
        angle = math.pi * self._share(ops.cast(step, "float64"))
        return self.final + (self.initial - self.final) * 0.5 * (1.0 + ops.cast(ops.cos(angle), "float32"))

    def _share(self, step: Any) -> Any:
        """How much of its period has gone by at a step, in float64: float32 misses restarts by a step."""
        if self.factor == 1.0:
            return ops.mod(step, self.steps) / self.steps
        # Period n begins at steps * (factor^n - 1) / (factor - 1). A step that is a restart but for a rounding is one.
        growth = self.factor - 1.0
        number = ops.floor(ops.log1p(step * growth / self.steps) / math.log(self.factor) + 1e-9)
        # ops.cast would make a float32 of it first.
        scale = ops.power(ops.convert_to_tensor(self.factor, dtype="float64"), number)
        return ops.maximum(step - self.steps * (scale - 1.0) / growth, 0.0) / (self.steps * scale)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial": self.initial,
            "steps": self.steps,
            "final": self.final,
            "factor": self.factor,
            "warmup": self.warmup,
        }
