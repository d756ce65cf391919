"""ScheduleCallback: a learning-rate schedule for one `fit` of a compiled model."""

from __future__ import annotations

from typing import Any

import keras

from tfkit.attach.attached import Attached
from tfkit.errors import ModelError
from tfkit.spec import NoParameters


class ScheduleCallback(Attached):
    """Puts a schedule in the place of the optimizer's learning rate, in the graph, until the fit ends.

    The step that the schedule sees is `optimizer.iterations`: under gradient accumulation that is
    the number of updates, while Keras hands schedules the number of batches.

    Args:
        schedule: The schedule.

    Raises:
        ModelError: When the fit begins, if another schedule is installed already.
    """

    params = NoParameters

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule) -> None:
        super().__init__()
        self.schedule = schedule
        self._before: Any = None

    def install(self, model: keras.Model) -> None:
        optimizer = _inner(model.optimizer)
        if isinstance(optimizer._learning_rate, Updates):
            raise ModelError("two schedules are installed for one fit: keep one of the schedule callbacks")
        self._before = optimizer._learning_rate
        _set(optimizer, Updates(self.schedule, optimizer.gradient_accumulation_steps))

    def uninstall(self, model: keras.Model) -> None:
        _set(_inner(model.optimizer), self._before)
        self._before = None


class Updates(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule over optimizer updates, from a count of batches."""

    def __init__(
        self, schedule: keras.optimizers.schedules.LearningRateSchedule, accumulation: int | None = None
    ) -> None:
        self.schedule = schedule
        self.accumulation = accumulation or 1

    def __call__(self, step: Any) -> Any:
        return self.schedule(step // self.accumulation)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "accumulation": self.accumulation}


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _set(optimizer: Any, learning_rate: Any) -> None:
    # The public setter assigns a number to the old variable and untracks it for a schedule:
    # putting the same variable back needs the attribute itself.
    optimizer._learning_rate = learning_rate
