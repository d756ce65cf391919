"""TrialCallback: what a search wants of the fit of one trial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tfkit.errors import ParameterError
from tfkit.goal import FIGURES, Constraint, Epoch, Goal


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
        objective: A `keras_tuner.Objective`, which may hold several: the leading one says which epoch is best.
        to_beat: Score that an epoch must reach for its weights to be kept, or None; infinite where none are.
        weights: The file that the weights go to.
        ends: `time.monotonic()` at which the fit ends.
        report: Called after each epoch with its number, counted from 0, and its logs.
        timeout: Seconds, from now on, that building and training the model may take, or None.
        constraints: An epoch is the better the less it exceeds those that are on what Keras logs.

    Attributes:
        history: The logs of each epoch.

    Raises:
        UnknownObjective: After the first epoch, where no metric has the name of an objective or a constraint.
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
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self._goal = Goal.of(objective, constraints)
        self._to_beat = to_beat
        self._best: Epoch | None = None
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
        self._check_logged(figures)
        self.history.append(figures)
        wanted = [figures[name] for name, _ in self._goal.objectives if name in self._goal.logged]
        if all(map(math.isfinite, wanted)) and self._is_best(figures):
            self._best = self._goal.place(figures)
            self.model.save_weights(self._weights)
        self._report(epoch, figures)

    def _check_logged(self, figures: Mapping[str, float]) -> None:
        missing = [name for name in self._goal.logged if name not in figures]
        if missing:
            no_part = missing[0].startswith("val_") and not any(name.startswith("val_") for name in figures)
            hint = "the data has no validation part" if no_part else f"of the model itself: {', '.join(FIGURES)}"
            raise UnknownObjective(
                f"no metric of the model is called {missing[0]!r}; there are: {', '.join(figures)}; {hint}"
            )

    def _is_best(self, figures: Mapping[str, float]) -> bool:
        place = self._goal.place(figures)
        if self._best is not None:
            return place < self._best
        if self._to_beat is None:
            return True
        name, direction = self._goal.leading
        if name not in figures:
            return math.isfinite(self._to_beat)
        # Of trials that are equal the first to be created is the better one: which that is turns out later.
        value, bound = figures[name], self._to_beat
        return place[0] == 0 and (value >= bound if direction == "max" else value <= bound)
