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
        self._most: int | None = None

    def install(self, model: keras.Model) -> None:
        refuse_rate_setters("a schedule callback")
        set_schedule(model.optimizer, self.schedule)

    def uninstall(self, model: keras.Model) -> None:
        remove_schedule(model.optimizer)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # With more steps in an execution Keras asks the data whether there is a batch before it counts it.
        fit: Any = self.params  # None in a list of callbacks of the user's own
        unknown = fit is not None and fit.get("steps") is None and self.model.steps_per_execution == 1
        self._most = _batches(self.model) if unknown else None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._most is not None:
            self._most += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._most is not None and _batches(self.model) > self._most:
            batch_count(self.model.optimizer).assign(self._most)


def _batches(model: keras.Model) -> int:
    return int(keras.ops.convert_to_numpy(batch_count(model.optimizer)))
