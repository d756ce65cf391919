"""Arms of an automatic search: models of one strength each, trained longer while they are worth it."""

from __future__ import annotations

import dataclasses
import math
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfkit.data import Data, is_dataset
from tfkit.errors import ModelError, TfkitError
from tfkit.factory import create
from tfkit.pipeline.copies import compiled_copy, recompiled
from tfkit.pipeline.moves import Values, dropout, steps, told
from tfkit.pipeline.steps import is_installed
from tfkit.progress import say

# How the loss of the metric falls with training: as epochs to the power of minus this, until arms show their own.
USUAL_POWER = 0.5


@dataclass
class Arm:
    """A model of one strength.

    Attributes:
        values: What was done to it, hyperparameters by name.
        model: The Keras model as it is now.
        epochs: Epochs it was trained.
        epoch_seconds: Seconds of one, None before the first.
        made: The model after the moves that come last, None before it was asked for.
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
    made: Any = None

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

    def epochs_to(self, drop: float, usual: float = USUAL_POWER) -> float:
        """Epochs that it still needs until it loses no more than that, by the fall of its loss so far.

        Args:
            drop: The loss.
            usual: The power of the epochs with which losses fall, where this arm has not shown its own.
        """
        if self.drop <= drop:
            return 0.0
        own = power_of(self.drops)
        power = usual if own is None else (usual + own) / 2
        return max(self.epochs, 1.0) * ((self.drop / drop) ** (1 / power) - 1)


def power_of(drops: list[tuple[float, float]]) -> float | None:
    """The power with which a loss falls over epochs, by its last two points; None before there are two.

    Example:
        >>> round(power_of([(1, 0.08), (4, 0.02)]), 3)
        1.0
    """
    trained = [(epochs, drop) for epochs, drop in drops if epochs > 0 and drop > 0]
    if len(trained) < 2 or trained[-1][0] <= trained[-2][0]:
        return None
    (before, high), (after, low) = trained[-2:]
    return min(1.0, max(0.05, math.log(high / low) / math.log(after / before)))


def usual_power(arms: Iterable[Arm]) -> float:
    """The mean power with which the losses of some arms fall, what is usual elsewhere counted as one of them."""
    known = [power for arm in arms if (power := power_of(arm.drops)) is not None]
    return (USUAL_POWER + sum(known)) / (1 + len(known))


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

    def arm(self, values: Values, start: Arm | None = None) -> Arm:
        """An arm that is not trained yet.

        Args:
            values: Its strengths.
            start: A trained arm to cut further where its values say "after"; None for the source.

        Raises:
            TfkitError: A compressor refuses the model, or a second cut leaves it as it is.
        """
        model = compiled_copy(self.source if start is None else start.model)
        for name, params in steps(values, "before"):
            made = create("compressor", name, **params).compress(model, self.data, epochs=0, directory=self.scratch())
            model = made.model
        if start is not None and model.count_params() == start.model.count_params():
            raise ModelError("nothing more goes: the widths that are left must be multiples of something")
        return Arm(values, recompiled(model, self.source))

    def train(self, arm: Arm, epochs: float, ends: float) -> None:
        """Trains an arm longer, until `ends` at most, `time.monotonic()`."""
        from tfkit.attach.deadline import deadline
        from tfkit.attach.dropout import scaled_dropout

        whole = max(1, math.ceil(epochs))
        begun = time.monotonic()
        with scaled_dropout(arm.model, dropout(arm.values)), deadline(ends):
            model = recompiled(arm.model, self.source, decay_steps=whole * self.batches)
            arm.model = self._trained(model, self._shuffled(arm), whole)
        done = self._epochs_done(arm.model, whole)
        arm.model = recompiled(arm.model, self.source)
        arm.epochs += done
        arm.epoch_seconds = (time.monotonic() - begun) / max(done, 1 / self.batches)
        arm.made = None
        arm.finished.clear()

    def finished(self, arm: Arm, ends: float) -> Any:
        """The arm's model after the moves that come last: pruned and clustered, the arm itself as it was.

        They train until `ends` at most, `time.monotonic()`.
        """
        from tfkit.attach.deadline import deadline

        made = steps(arm.values, "after")
        if not made:
            return arm.model
        if arm.made is None:
            model = compiled_copy(arm.model)
            with deadline(ends):
                for name, params in made:
                    epochs = math.ceil(arm.epochs / 4)
                    compressor = create("compressor", name, **params)
                    model = compressor.compress(model, self.data, epochs=epochs, directory=self.scratch()).model
            arm.made = model
        return arm.made

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
        from tfkit.attach.training import train

        train(model, data, epochs)
        return model

    def _shuffled(self, arm: Arm) -> Data:
        """The data in another order each time."""
        return dataclasses.replace(self.data, seed=self.data.seed + math.ceil(arm.epochs))

    def _epochs_done(self, model: Any, epochs: int) -> float:
        optimizer = model.optimizer
        trained = int(optimizer.iterations) * (optimizer.gradient_accumulation_steps or 1)
        return min(float(epochs), trained / self.batches) if trained else float(epochs)


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and the seconds it took."""
    begun = time.monotonic()
    return function(), time.monotonic() - begun
