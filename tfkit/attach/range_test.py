"""RangeTest: one `fit` whose rate rises from batch to batch, and the state of a training to put back after it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras

from tfkit.attach.attached import Attached
from tfkit.attach.optimizers import batches_per_update
from tfkit.attach.rates import remove_schedule, set_schedule


class RangeTest(Attached):
    """Rises the rate from `low` to `high` by a factor each batch, until the losses run away.

    For a fit of one batch an epoch, whose loss is that of the batch.

    Args:
        low: The first rate.
        high: The last rate.
        steps: Batches from the first to the last.
        limit: The fit ends when the smoothed loss is as many times the least so far.

    Attributes:
        rates: The rate of each batch.
        losses: The loss of each batch, finite; the fit ends at one that is not.
    """

    def __init__(self, low: float, high: float, steps: int, limit: float = 4.0) -> None:
        super().__init__()
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._low = low
        self._growth = math.log(high / low) / max(1, steps - 1)
        self._rate_now = low
        self._limit = limit

    def install(self, model: keras.Model) -> None:
        self._first = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
        self._smoothed = Smoothed()
        self._least = math.inf
        # A schedule is asked for the rate by updates, of which there are fewer where gradients are accumulated.
        self._batches = batches_per_update(model.optimizer)
        set_schedule(model.optimizer, lambda step: self._rate(keras.ops.cast(step - self._first, "float32")))

    def uninstall(self, model: keras.Model) -> None:
        remove_schedule(model.optimizer)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        updates = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)) - self._first
        self._rate_now = self._low * math.exp(self._growth * updates * self._batches)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            self.model.stop_training = True
            return
        self.rates.append(self._rate_now)
        self.losses.append(loss)
        smoothed = self._smoothed.add(loss)
        self._least = min(self._least, smoothed)
        # Losses may be below zero: what counts is how far they have come from the first.
        fallen = max(abs(self.losses[0]), abs(self.losses[0] - self._least))
        if epoch > 4 and smoothed > self._least + (self._limit - 1) * fallen:
            self.model.stop_training = True

    def _rate(self, step: Any) -> Any:
        return self._low * keras.ops.exp(self._growth * self._batches * step)


class Smoothed:
    """An exponential moving average that is corrected for its beginning.

    Example:
        >>> smoothed = Smoothed(decay=0.5)
        >>> [round(smoothed.add(value), 3) for value in (1.0, 4.0, 4.0)]
        [1.0, 3.0, 3.571]
    """

    def __init__(self, decay: float = 0.9) -> None:
        self._decay = decay
        self._sum = self._parts = 0.0

    def add(self, value: float) -> float:
        """The average with one more value."""
        self._sum = self._decay * self._sum + (1 - self._decay) * value
        self._parts = self._decay * self._parts + 1 - self._decay
        return self._sum / self._parts


@contextlib.contextmanager
def left_as_it_was(model: keras.Model) -> Iterator[None]:
    """Puts back, at the end of the block, all that training changes in a compiled model.

    Weights, the optimizer's variables and its count of steps, the state of dropout's random numbers, the model's
    history and its `steps_per_execution`; the train function, which is traced for so many steps, is made anew.
    """
    with model.distribute_strategy.scope():
        model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    values = [keras.ops.convert_to_numpy(each) for each in variables]
    history, executed = getattr(model, "history", None), model.steps_per_execution
    model.train_function = None
    try:
        yield
    finally:
        model.train_function = None
        for variable, value in zip(variables, values):
            variable.assign(value)
        model.history, model.steps_per_execution = history, executed
        model.reset_metrics()
        model.stop_training = False
