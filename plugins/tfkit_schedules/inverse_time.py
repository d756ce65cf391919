"""Inverse-time decay."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class InverseTime(Warmup):
    """`initial / (1 + decay * floor(step / steps_per_epoch))`.

    Args:
        initial: Learning rate at step 0.
        decay: Decay of an epoch; the rate is halved after 1 / decay epochs.
        steps_per_epoch: Steps after which the rate falls again.
        warmup: Steps of linear warm-up before.

    Example:
        >>> round(float(InverseTime(initial=0.1, decay=1.0, steps_per_epoch=10)(10)), 6)
        0.05
    """

    def __init__(self, *, initial: float, decay: float, steps_per_epoch: int = 1, warmup: int = 0) -> None:
        super().__init__(warmup=warmup)
        self.initial = initial
        self.decay = decay
        self.steps_per_epoch = steps_per_epoch

    def rate(self, step: Any) -> Any:
        # In whole numbers: a graph divides floats by multiplying, and 61 * (1 / 61) is less than 1 in float32.
        epoch = ops.cast(ops.cast(step, "int64") // self.steps_per_epoch, "float32")
        return self.initial / (1.0 + self.decay * epoch)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial": self.initial,
            "decay": self.decay,
            "steps_per_epoch": self.steps_per_epoch,
            "warmup": self.warmup,
        }
