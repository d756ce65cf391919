"""Warm-up, a stable rate, decay."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class WarmupStableDecay(Warmup):
    """Linear warm-up to `peak`, `stable` steps at it, then a straight line to `final` in `decay` steps.

    A run can go on from its stable part with another `stable` and be decayed later. Source: MiniCPM, Hu et al. 2024.

    Args:
        peak: The highest learning rate.
        warmup: Steps of linear warm-up: step n of them has `peak * (n + 1) / warmup`.
        stable: Steps at the peak.
        decay: Steps from the peak to the final rate.
        final: Learning rate from then on.

    Example:
        >>> schedule = WarmupStableDecay(peak=0.1, warmup=10, stable=20, decay=10)
        >>> [round(float(schedule(step)), 6) for step in (0, 9, 30, 35, 40)]
        [0.01, 0.1, 0.1, 0.05, 0.0]
    """

    def __init__(self, *, peak: float, warmup: int, stable: int, decay: int, final: float = 0.0) -> None:
        super().__init__(warmup=warmup)
        self.peak = peak
        self.stable = stable
        self.decay = decay
        self.final = final

    def rate(self, step: Any) -> Any:
        left = ops.clip((self.stable + self.decay - step) / self.decay, 0.0, 1.0)
        return self.final + (self.peak - self.final) * left

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "warmup": self.warmup,
            "stable": self.stable,
            "decay": self.decay,
            "final": self.final,
        }
