"""Arms of an automatic search: models of one strength each, trained longer while they are worth it."""

from __future__ import annotations

import dataclasses
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfkit.data import Data, is_dataset
from tfkit.errors import TfkitError
from tfkit.factory import create
from tfkit.pipeline.copies import compiled_copy, recompiled
from tfkit.pipeline.moves import Values, steps, told
from tfkit.pipeline.steps import is_installed
from tfkit.progress import say

# How the loss of the metric falls with training: as epochs to the power of minus this, until an arm shows its own.
_POWER = 0.5


@dataclass
class Arm:
    """A model of one strength.

    Attributes:
        values: What was done to it, hyperparameters by name.
        model: The Keras model as it is now.
        epochs: Epochs it was trained.
        epoch_seconds: Seconds of one, None before the first.
        drops: (epochs, loss of the metric) each time it was measured.
        cost: Its bytes or milliseconds as a file, None before it was measured.
        finished: Labels of the ways to a file that were tried on it as it is now.
    """

    values: Values
    model: Any
    epochs: float = 0.0
    epoch_seconds: float | None = None
    drops: list[tuple[float, float]] = field(default_factory=list)
    cost: float | None = None
    finished: set[str] = field(default_factory=set)

    @property
    def drop(self) -> float:
        """The loss of the metric when it was last measured; infinite before."""
        return self.drops[-1][1] if self.drops else math.inf

    @property
    def is_source(self) -> bool:
        """Whether nothing was done to it."""
        return not self.values

    def told(self) -> str:
        """What it is, for the table."""
        return told(self.values) or "unchanged"

    def epochs_to(self, drop: float) -> float:
        """Epochs that it still needs until it loses no more than that, by the fall of its loss so far."""
        if self.drop <= drop:
            return 0.0
        power = power_of(self.drops)
        return max(self.epochs, 1.0) * ((self.drop / drop) ** (1 / power) - 1)


def power_of(drops: list[tuple[float, float]]) -> float:
    """The power with which a loss falls over epochs, between what is usual and what the last two points show.

    Example:
        >>> round(power_of([(1, 0.08), (4, 0.02)]), 3)
        0.75
    """
    trained = [(epochs, drop) for epochs, drop in drops if epochs > 0 and drop > 0]
    if len(trained) < 2:
        return _POWER
    (before, high), (after, low) = trained[-2:]
    own = math.log(high / low) / math.log(after / before) if after > before else _POWER
    return (_POWER + min(1.0, max(0.05, own))) / 2


class Trainer:
    """Trains arms with the source as their teacher, each time with a rate that falls to 0 along a cosine.

    Where there is no compressor "distill", or it refuses the model, they are trained on the labels alone.

    Args:
        source: The compiled model that all come from.
        data: The train part is trained on.
        folder: Where compressors may write.
    """

    def __init__(self, source: Any, data: Data, folder: Path) -> None:
        self.source = source
        self.data = data.without_test()
        self.folder = folder
        self._distills = is_installed("distill")
        self._batches: int | None = None

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        if self._batches is None:
            if is_dataset(self.data.train):
                self._batches = sum(1 for _ in self.data.train)
            else:
                self._batches = math.ceil(self.data.rows("train") / self.data.batch_size)
        return self._batches

    def arm(self, values: Values) -> Arm:
        """An arm that is not trained yet.

        Raises:
            TfkitError: A compressor refuses the model.
        """
        model = compiled_copy(self.source)
        for name, params in steps(values, "before"):
            made = create("compressor", name, **params).compress(model, self.data, epochs=0, directory=self.scratch())
            model = made.model
        return Arm(values, recompiled(model, self.source))

    def train(self, arm: Arm, epochs: float, ends: float) -> None:
        """Trains an arm longer, until `ends` at most, `time.monotonic()`."""
        from tfkit.attach.deadline import deadline

        whole = max(1, math.ceil(epochs))
        begun = time.monotonic()
        model = recompiled(arm.model, self.source, decay_steps=whole * self.batches)
        with deadline(ends):
            arm.model = self._trained(model, self._shuffled(arm), whole)
        done = self._epochs_done(arm.model, whole)
        arm.model = recompiled(arm.model, self.source)
        arm.epochs += done
        arm.epoch_seconds = (time.monotonic() - begun) / max(done, 1 / self.batches)
        arm.finished.clear()

    def finished(self, arm: Arm) -> Any:
        """The arm's model after the moves that come last: pruned and clustered, the arm itself as it was."""
        made = steps(arm.values, "after")
        if not made:
            return arm.model
        model = compiled_copy(arm.model)
        for name, params in made:
            epochs = math.ceil(arm.epochs / 4)
            compressor = create("compressor", name, **params)
            model = compressor.compress(model, self.data, epochs=epochs, directory=self.scratch()).model
        return model

    def quantized(self, model: Any, params: dict[str, Any], epochs: int, ends: float, directory: Path) -> Any:
        """A copy of a model after training with quantized weights, at a tenth of the rate, as a `tfkit.Compressed`."""
        from tfkit.attach.deadline import deadline

        copy = recompiled(compiled_copy(model), self.source, decay_steps=epochs * self.batches, scale=0.1)
        with deadline(ends):
            compressor = create("compressor", "qat", **params)
            return compressor.compress(copy, self.data, epochs=epochs, directory=directory)

    def finish_epochs(self, values: Values, epochs: float) -> int:
        """Epochs that `finished` trains."""
        return len(steps(values, "after")) * math.ceil(epochs / 4)

    def scratch(self) -> Path:
        """An empty folder for what a compressor writes and nobody reads."""
        folder = self.folder / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _trained(self, model: Any, data: Data, epochs: int) -> Any:
        if self._distills:
            try:
                distill = create("compressor", "distill", teacher=self.source)
                return distill.compress(model, data, epochs=epochs, directory=self.scratch()).model
            except TfkitError as error:
                self._distills = False
                say(f"compress: trained on the labels alone, since the source is no teacher: {error}")
        return _fitted(model, data, epochs)

    def _shuffled(self, arm: Arm) -> Data:
        """The data in another order each time."""
        return dataclasses.replace(self.data, seed=self.data.seed + math.ceil(arm.epochs))

    def _epochs_done(self, model: Any, epochs: int) -> float:
        optimizer = getattr(model, "optimizer", None)
        updates = 0 if optimizer is None else int(optimizer.iterations)
        return min(float(epochs), updates / self.batches) if updates else float(epochs)


def _fitted(model: Any, data: Data, epochs: int) -> Any:
    from tfkit.attach import deadline

    model.fit(data.dataset("train"), epochs=epochs, shuffle=False, verbose=0, callbacks=deadline.callbacks())
    return model


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and the seconds it took."""
    begun = time.monotonic()
    return function(), time.monotonic() - begun
