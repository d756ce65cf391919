"""Stopwatch: the time that training steps take, read from outside of the step."""

from __future__ import annotations

import time
from typing import Any

import keras

from tfkit.attach.optimizers import batch_count

_WARM_UP = 0.05  # seconds after the first execution, in which caches and queues fill
_SKIPPED = 2  # executions that are not counted at least: the first one traces the graph


class Stopwatch(keras.callbacks.Callback):
    """Times the steps of a fit in windows, and ends the fit after so many of them.

    A window goes over the border of epochs, so that what an epoch costs at its beginning counts as well.

    Args:
        window: Seconds of a window, at least one execution.
        windows: How many to time.
        ends: `time.monotonic()` at which the fit ends once there is one window.

    Attributes:
        step_seconds: Seconds of a step in each window.
        first_seconds: Seconds until the first execution was done, which traces or compiles the graph.
    """

    def __init__(self, window: float, windows: int, ends: float) -> None:
        super().__init__()
        self.step_seconds: list[float] = []
        self._window, self._windows, self._ends = window, windows, ends
        self._executions = self._first = 0
        self._opened: tuple[float, int] | None = None
        self.first_seconds = self._begun = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._first = self._trained()
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._executions += 1
        now = time.perf_counter()
        if self._executions == 1:
            self.first_seconds, self._begun = now - self._begun, now
        if self._opened is None:
            if self._executions < _SKIPPED or (now - self._begun < _WARM_UP and time.monotonic() < self._ends):
                return
            self._opened = self._read()
            return
        if now - self._opened[0] < self._window:
            return
        self._close()

    def _close(self) -> None:
        assert self._opened is not None
        now, steps = self._read()
        if steps > self._opened[1]:
            self.step_seconds.append((now - self._opened[0]) / (steps - self._opened[1]))
        self._opened = (now, steps)
        if len(self.step_seconds) >= self._windows or time.monotonic() > self._ends:
            self.model.stop_training = True

    def _read(self) -> tuple[float, int]:
        """The time once all that was begun is done, since on a GPU steps are queued, and the steps since the fit began.

        The optimizer counts them: the last execution of an epoch may hold fewer than it is named for.
        """
        trained = self._trained() - self._first
        # A train_step with optimizers of its own does not move that of the model.
        return time.perf_counter(), trained or self._executions * self.model.steps_per_execution

    def _trained(self) -> int:
        return int(keras.ops.convert_to_numpy(batch_count(self.model.optimizer)))
