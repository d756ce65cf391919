"""Doctor: what is wrong with a training, said at its end with the figures behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfkit import memory
from tfkit.attach.attached import Attached
from tfkit.models import require_built, require_compiled
from tfkit.progress import say
from tfkit_callbacks.doctor.faults import Finding, diagnose
from tfkit_callbacks.doctor.observed import Observed
from tfkit_callbacks.doctor.watch import Watch


class Doctor(Attached):
    """Watches a fit and says at its end what is wrong with it, worst first, and what to try.

    It reads the curves, counts labels and hits by class and ReLU units that are 0 for every row, times how long steps
    wait for their batches (on one device, without jit), and looks at the memory that is left.

    Attributes:
        findings: After the fit, each with `.fault`, `.evidence` and `.advice`, the worst first; none where all is
            well.

    Example:
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(50.0), "mse")
        >>> doctor = Doctor()
        >>> _ = model.fit(x, 3 * x, epochs=40, verbose=0, callbacks=[doctor])
        >>> doctor.findings[0].fault
        'divergence'
    """

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self._watch: Watch | None = None
        self._curves: dict[str, list[float]] = {}
        self._memory: tuple[int, int] | None = None
        self._between = 0.0
        self._batch_ended: float | None = None

    def diagnose(self, curves: Mapping[str, Sequence[float]]) -> list[Finding]:
        """What curves alone tell, such as those of a run that has ended.

        Args:
            curves: As in `History.history`.
        """
        return diagnose(Observed(curves))

    def install(self, model: keras.Model) -> None:
        self.findings, self._curves, self._memory = [], {}, None
        self._between, self._batch_ended = 0.0, None
        self._watch = Watch(require_built(require_compiled(model)))
        self._watch.install()

    def uninstall(self, model: keras.Model) -> None:
        if self._watch is not None:
            self._watch.uninstall()
        # They were traced with the counters in them.
        model.test_function = model.predict_function = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._watch is not None:
            self._watch.reset()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._batch_ended is not None:
            self._between += time.perf_counter() - self._batch_ended

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batch_ended = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0:
                self._curves.setdefault(name, []).append(float(value))
        held, left = memory.held(os.getpid()), memory.left()
        if held is None or left is None:
            return
        if self._memory is None or held / (held + left) > self._memory[0] / self._memory[1]:
            self._memory = (held, held + left)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        watch = self._watch
        super().on_train_end(logs)
        self._watch = None
        if watch is None:
            return
        self.findings = diagnose(_observed(watch, self._curves, self._memory, self._between))
        for finding in self.findings:
            say(f"doctor: {finding}")


def _observed(watch: Watch, curves: dict[str, list[float]], taken: tuple[int, int] | None, between: float) -> Observed:
    """What was observed; the seconds between batches that callbacks and validation took are not those of waiting."""
    found = Observed(curves, memory=taken)
    found.silent = {name: (int((each.numpy() == 0).sum()), each.shape[0]) for name, each in watch.alive.items()}
    if watch.times is not None:
        _, found.seconds, found.waited, steps = watch.times.numpy().tolist()
        found.steps = int(steps)
        found.seconds, found.waited = found.seconds - between, max(0.0, found.waited - between)
    if watch.classes is not None:
        found.classes, found.hits = watch.classes.numpy()
    found.baseline = _baseline(watch)
    return found


def _baseline(watch: Watch) -> float | None:
    """The loss of the best constant answer: the entropy of the classes, or the variance of the labels.

    None where the loss in the logs is no mean over rows of that: with weights of rows, and with penalties.
    """
    if watch.is_weighted or watch.model.losses:
        return None
    if watch.classes is not None and (counts := watch.classes.numpy()[0]).sum():
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    if watch.squared is not None:
        rows, total, squares = watch.squared.numpy()
        return float(np.mean(squares / np.maximum(rows, 1) - (total / np.maximum(rows, 1)) ** 2))
    return None
