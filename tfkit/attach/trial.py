"""TrialCallback: what a search wants of the fit of one trial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from tfkit.errors import ParameterError


class OutOfTime(Exception):
    """The time budget of a search is spent in the middle of a trial."""


class TooSlow(Exception):
    """A trial takes longer than it may."""


class UnknownObjective(ParameterError):
    """No metric of the model has the objective's name."""


class TrialCallback(keras.callbacks.Callback):
    """Keeps the history of a fit and the weights of its best epoch, and ends it when time is up.

    It must be the last callback: others add to the logs.

    Args:
        objective: A `keras_tuner.Objective`.
        to_beat: Score that an epoch must reach for its weights to be kept, or None.
        weights: The file that the weights go to.
        ends: `time.monotonic()` at which the fit ends.
        report: Called after each epoch with its number, counted from 0, and its logs.
        timeout: Seconds, from now on, that building and training the model may take, or None.

    Attributes:
        history: The logs of each epoch.

    Raises:
        UnknownObjective: After the first epoch, where no metric has the objective's name.
        OutOfTime: At the first batch after `ends`.
        TooSlow: At the first batch after `timeout`.
    """

    def __init__(
        self,
        objective: Any,
        to_beat: float | None,
        weights: Path,
        ends: float,
        report: Callable[[int, dict[str, float]], None],
        timeout: float | None = None,
    ) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self._objective = objective
        self._to_beat = to_beat
        self._best: float | None = None
        self._weights = weights
        self._ends = ends
        self._report = report
        self._too_slow = float("inf") if timeout is None else time.monotonic() + timeout

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.monotonic()
        if now >= self._ends:
            raise OutOfTime
        if now >= self._too_slow:
            raise TooSlow

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        figures = {name: float(value) for name, value in (logs or {}).items()}
        if not self._objective.has_value(figures):
            wanted = ", ".join(getattr(self._objective, "name_to_direction", [self._objective.name]))
            missing = wanted.startswith("val_") and not any(name.startswith("val_") for name in figures)
            hint = "; the data has no validation part" if missing else ""
            raise UnknownObjective(
                f"no metric of the model is called {wanted!r}; there are: {', '.join(figures)}{hint}"
            )
        self.history.append(figures)
        value = self._objective.get_value(figures)
        if math.isfinite(value) and self._is_best(value):
            self._best = value
            self.model.save_weights(self._weights)
        self._report(epoch, figures)

    def _is_best(self, value: float) -> bool:
        if self._best is not None:
            return self._objective.better_than(value, self._best)
        # Of trials that are equal the first to be created is the better one: which that is turns out later.
        return self._to_beat is None or not self._objective.better_than(self._to_beat, value)
