"""Progress of a fit: rate and time left over all its epochs."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import keras
import numpy as np

from tfkit.attach.attached import Attached
from tfkit.attach.epochs import steps_of
from tfkit.progress import say, task


class Progress(Attached):
    """Shows how far a fit is, over all its epochs: a bar with the time left on a terminal, lines elsewhere.

    A line for each epoch with its figures, its seconds and batches in a second; in between, where there is no
    terminal, a sign of life now and then. Call `fit` with verbose=0. It reads no figure between epochs, so that it
    waits for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown = contextlib.ExitStack()
        self._advance: Any = None
        self._batches = 0
        self._begun = 0.0

    def install(self, model: keras.Model) -> None:
        steps, epochs = self.params.get("steps"), self.params.get("epochs", 1)
        self._advance = self._shown.enter_context(task("fit", total=steps and steps_of(steps, range(epochs))))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches, self._begun = 0, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for _ in range(batch + 1 - self._batches):
            self._advance("")
        self._batches = batch + 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = time.perf_counter() - self._begun
        single = {name: value for name, value in (logs or {}).items() if np.ndim(value) == 0}
        figures = "  ".join(f"{name} {float(value):.4g}" for name, value in single.items())
        rate = f"{self._batches / max(seconds, 1e-9):.3g} batches/s"
        say(f"epoch {epoch + 1}/{self.params.get('epochs', 1)}  {figures}  {seconds:.1f} s  {rate}")

    def uninstall(self, model: keras.Model) -> None:
        self._shown.close()
