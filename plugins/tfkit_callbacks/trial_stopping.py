"""TrialStopping, the base of callbacks that end a trial of a search which does worse than the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tfkit_callbacks.monitor import Monitor

Histories = Mapping[str, Mapping[str, Sequence[float]]]


class TrialStopping(keras.callbacks.Callback):
    """Compares a fit with those of the other trials after each epoch, and ends it where `is_hopeless` says so.

    In any tuner that runs its trials in this process nothing has to be told: a copy of the callback, as
    KerasTuner makes one for each trial, knows the fits of all other copies. `tfkit.search` calls `watch`,
    so that trials of other processes and of earlier calls count too.

    Args:
        monitor: What to watch, by its name in the logs.
        mode: "min", "max", or "auto", which asks the metric.
        min_epochs: Epochs that every trial gets.

    Attributes:
        stopped_epoch: The epoch, counted from 0, after which the fit was ended; None where it was not.

    Raises:
        ParameterError: At the end of the first epoch: the logs have no such name, or auto cannot tell
            whether less or more is better.
    """

    name = "trial-stopping"

    def __init__(self, *, monitor: str = "val_loss", mode: str = "auto", min_epochs: int = 1) -> None:
        super().__init__()
        self.monitor = monitor
        self.mode = mode
        self.min_epochs = min_epochs
        self.stopped_epoch: int | None = None
        self._watched = Monitor(f"callback {self.name!r}", monitor)
        self._fits = _Fits()
        self._others: Callable[[], Histories] | None = None
        self._values: list[float] = []

    def watch(self, histories: Callable[[], Histories]) -> None:
        """Says where the other trials are to be found.

        Args:
            histories: Returns, by trial and metric, the value after each epoch; not of the trial that is to be
                watched.
        """
        self._others = histories

    def judges(self, epochs: int) -> bool:
        """Whether a trial is compared with the others after so many epochs; asking for these costs time."""
        return epochs >= self.min_epochs

    def is_hopeless(self, values: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
        """Whether a trial is not worth another epoch.

        Args:
            values: The value after each of its epochs; less is better, infinity stands for what is not finite.
            others: The same of each other trial, of any lengths, none empty.
        """
        raise NotImplementedError

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.stopped_epoch, self._values = None, []
        self._watched.begin()
        self._fits.begin(self._values)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        value = self._watched.value(logs)
        if value is None:
            return
        sign = -1.0 if self._watched.is_maximized(self.model, self.mode) else 1.0
        self._values.append(_usable(sign * float(value)))
        if not self.judges(len(self._values)):
            return
        if self.is_hopeless(self._values, [each for each in self._known(sign) if each]):
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _known(self, sign: float) -> list[list[float]]:
        if self._others is None:
            return self._fits.others(self._values)
        return [[_usable(sign * value) for value in each.get(self.monitor, ())] for each in self._others().values()]


def _usable(value: float) -> float:
    return value if math.isfinite(value) else math.inf


class _Fits:
    """The values of every fit of a callback and its copies."""

    def __init__(self) -> None:
        self._of_fits: list[list[float]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> _Fits:
        return self

    def begin(self, values: list[float]) -> None:
        """Adds a fit, whose list will grow."""
        self._of_fits.append(values)

    def others(self, values: list[float]) -> list[list[float]]:
        """The lists of all other fits."""
        return [each for each in self._of_fits if each is not values]
