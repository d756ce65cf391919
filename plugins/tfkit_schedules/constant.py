"""The same learning rate at every step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfkit")
class Constant(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate `value` at every step.

    Args:
        value: The learning rate, > 0.

    Example:
        >>> round(float(Constant(value=0.01)(1000)), 6)
        0.01
    """

    def __init__(self, *, value: float) -> None:
        super().__init__()
        self.value = value

    def __call__(self, step: Any) -> Any:
        return ops.cast(self.value, "float32")

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}
