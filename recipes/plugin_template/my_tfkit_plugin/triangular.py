"""The triangular schedule."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="my_tfkit_plugin")
class Triangular(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a line from `low` to `high` in `half` steps, falls back in as many, and begins again.

    Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks.

    Args:
        low: Rate at the beginning of each cycle.
        high: Rate in the middle of each cycle.
        half: Steps from the low rate to the high one.

    Example:
        >>> schedule = Triangular(low=0.0, high=1.0, half=4)
        >>> [float(schedule(step)) for step in (0, 1, 4, 6, 8)]
        [0.0, 0.25, 1.0, 0.5, 0.0]
    """

    def __init__(self, *, low: float, high: float, half: int = 1000) -> None:
        super().__init__()
        self.low = low
        self.high = high
        self.half = half

    def __call__(self, step: Any) -> Any:
        """The rate at a step, as a float32 scalar."""
        within_cycle = ops.mod(ops.cast(step, "float32"), 2.0 * self.half)
        share = 1.0 - ops.abs(within_cycle / self.half - 1.0)
        return self.low + (self.high - self.low) * share

    def get_config(self) -> dict[str, Any]:
        """The arguments, so that Keras can save the schedule with a model."""
        return {"low": self.low, "high": self.high, "half": self.half}
