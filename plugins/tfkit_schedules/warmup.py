"""Warmup, the base of every schedule here that may be preceded by linear warm-up."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule after `warmup` steps of linear warm-up.

    At step < warmup the rate is `rate(0) * (step + 1) / warmup`, from there `rate(step - warmup)`.

    Args:
        warmup: Steps of warm-up; 0 begins with the schedule itself.
    """

    def __init__(self, *, warmup: int = 0) -> None:
        super().__init__()
        self.warmup = warmup

    def rate(self, step: Any) -> Any:
        """The rate `step` steps after warm-up.

        Args:
            step: Float32 scalar tensor, 0 at the first step.
        """
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        if self.warmup == 0:
            return self.rate(step)
        rising = self.rate(ops.zeros_like(step)) * (step + 1.0) / self.warmup
        return ops.where(step < self.warmup, rising, self.rate(ops.maximum(step - self.warmup, 0.0)))
