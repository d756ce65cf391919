"""The one-cycle policy."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class OneCycle(Warmup):
    """From `peak / div_factor` up to `peak` and down to `peak / div_factor / final_div_factor`, each half a cosine.

    Source: Smith and Topin 2018, with the names and numbers of fastai and PyTorch, which do the last step
    at the final rate; here it is the rate from step `steps` on, as in the other schedules.

    Args:
        peak: The highest learning rate, such as `tfkit.find_learning_rate` suggests.
        steps: Steps of the whole cycle.
        pct_start: Share of them that the rate rises.
        div_factor: Peak over the rate at step 0.
        final_div_factor: The rate at step 0 over the last.
        warmup: Steps of linear warm-up before.

    Example:
        >>> schedule = OneCycle(peak=0.5, steps=100)
        >>> [round(float(schedule(step)), 6) for step in (0, 15, 30, 65, 100, 200)]
        [0.02, 0.26, 0.5, 0.250001, 2e-06, 2e-06]
    """

    def __init__(
        self,
        *,
        peak: float,
        steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        warmup: int = 0,
    ) -> None:
        super().__init__(warmup=warmup)
        self.peak = peak
        self.steps = steps
        self.pct_start = pct_start
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor

    def rate(self, step: Any) -> Any:
        first = self.peak / self.div_factor
        rising = self.pct_start * self.steps
        up = _between(first, self.peak, step / rising)
        down = _between(self.peak, first / self.final_div_factor, (step - rising) / (self.steps - rising))
        return ops.where(step < rising, up, down)

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "steps": self.steps,
            "pct_start": self.pct_start,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
            "warmup": self.warmup,
        }


def _between(start: float, end: float, share: Any) -> Any:
    """Half a cosine from one rate to another."""
    return end + (start - end) * 0.5 * (1.0 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))
