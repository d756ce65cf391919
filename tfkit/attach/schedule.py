"""ScheduleCallback: a learning-rate schedule for one `fit` of a compiled model."""

from __future__ import annotations

from typing import Any

import keras

from tfkit.attach.attached import Attached
from tfkit.attach.optimizers import batches_per_update, inner_optimizer
from tfkit.errors import ModelError
from tfkit.spec import NoParameters


class ScheduleCallback(Attached):
    """Puts a schedule in the place of the optimizer's learning rate, in the graph, until the fit ends.

    The step that the schedule sees is `optimizer.iterations`: under gradient accumulation that is
    the number of updates, while Keras hands schedules the number of batches. A model that is saved
    while the fit runs is saved with the rate it had before, so that its file loads anywhere.

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
        optimizer = inner_optimizer(model.optimizer)
        before = optimizer._learning_rate
        if isinstance(before, Updates):
            raise ModelError("two schedules are installed for one fit: keep one of the schedule callbacks")
        self._before = before
        _set(optimizer, Updates(self.schedule, batches_per_update(optimizer)))
        optimizer.get_config = lambda: _config_with(before, optimizer)

    def uninstall(self, model: keras.Model) -> None:
        optimizer = inner_optimizer(model.optimizer)
        del optimizer.get_config
        _set(optimizer, self._before)
        self._before = None


class Updates(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule over optimizer updates, from a count of batches."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, batches_per_update: int) -> None:
        super().__init__()
        self.schedule = schedule
        self.batches_per_update = batches_per_update

    def __call__(self, step: Any) -> Any:
        return self.schedule(step // self.batches_per_update)


def _config_with(learning_rate: Any, optimizer: Any) -> dict[str, Any]:
    """The optimizer's config with another learning rate than the one installed."""
    installed = optimizer._learning_rate
    _set(optimizer, learning_rate)
    try:
        return type(optimizer).get_config(optimizer)
    finally:
        _set(optimizer, installed)


def _set(optimizer: Any, learning_rate: Any) -> None:
    # The public setter assigns a number to the old variable and untracks it for a schedule:
    # putting the same variable back needs the attribute itself.
    optimizer._learning_rate = learning_rate
