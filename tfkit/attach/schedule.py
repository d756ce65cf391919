"""ScheduleCallback: a learning-rate schedule for one `fit` of a compiled model."""

from __future__ import annotations

from typing import Any

import keras

from tfkit.attach.attached import Attached
from tfkit.attach.optimizers import batch_count
from tfkit.attach.rates import refuse_rate_setters, remove_schedule, set_schedule
from tfkit.spec import NoParameters


class ScheduleCallback(Attached):
    """Puts a schedule in the place of the optimizer's learning rate, in the graph, until the fit ends.

    The step that the schedule sees is `optimizer.iterations`: under gradient accumulation that is
    the number of updates, while Keras hands schedules the number of batches. A model that is saved
    while the fit runs is saved with the rate it had before, so that its file loads anywhere. Keras counts
    a step too many at the end of each epoch of a dataset that does not know its length: that is taken off.

    Args:
        schedule: The schedule.

    Raises:
        ModelError: When the fit begins, if another schedule is installed already, or Keras's
            `LearningRateScheduler` or `ReduceLROnPlateau` is among the callbacks.
    """

    params = NoParameters

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule) -> None:
        super().__init__()
        self.schedule = schedule
        self._before = (0, 0)

    def install(self, model: keras.Model) -> None:
        refuse_rate_setters("a schedule callback")
        set_schedule(model.optimizer, self.schedule)

    def uninstall(self, model: keras.Model) -> None:
        remove_schedule(model.optimizer)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._guard is not None:
            self._before = _batches(self.model), self._guard.steps

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # With more steps in an execution Keras asks the data whether there is a batch before it counts it.
        if self._guard is None or not self._guard.ran_out or self.model.steps_per_execution > 1:
            return
        counted, steps = self._before
        taken = counted + self._guard.steps - steps
        if _batches(self.model) == taken + 1:
            batch_count(self.model.optimizer).assign(taken)


def _batches(model: keras.Model) -> int:
    return int(keras.ops.convert_to_numpy(batch_count(model.optimizer)))
