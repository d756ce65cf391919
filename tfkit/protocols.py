"""What the ecosystem has no type of its own for: compressors, exporters, and schedules of the batch size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from tfkit.data import Data
    from tfkit.formats.named_model import NamedModel


@dataclass(frozen=True)
class Compressed:
    """What a compressor made.

    Attributes:
        model: The compressed Keras model, or None where only an artifact exists.
        artifacts: Files by format, such as {"litert": path}.
        notes: Sentences for the table, such as a sparsity that was missed.
    """

    model: Any = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@runtime_checkable
class Compressor(Protocol):
    """Makes a model smaller or faster.

    A compressor that can work inside one `fit` also has `callback()`, which returns the
    `keras.callbacks.Callback` that does it and leaves nothing behind.
    """

    def compress(self, model: Any, data: Data, *, epochs: int, directory: Path) -> Compressed:
        """Compresses a model, which it may change: the caller hands it a copy.

        Args:
            model: A built and compiled Keras model.
            data: Train part for fine-tuning and calibration, validation part for choices.
            epochs: Epochs of fine-tuning; 0 trains nothing.
            directory: An existing folder for artifacts.
        """
        ...


@runtime_checkable
class Exporter(Protocol):
    """Writes a model for a server or a device, and reads it back.

    The core does the rest for every format: it names inputs and outputs, writes aside, hashes the
    files, compares `predict` in a fresh process with the model's own output, and renames into place.

    Three members more are optional. `is_exact`: False where the files are meant to compute something near the
    model, such as quantized ones, which are compared as such. `advise(model)`: what users of the export will meet,
    a sentence each, which `tfkit.export` warns of. `examine(directory)`: the same of files, for `tfkit export
    verify`; it runs in a fresh process, and raises VerificationError where a server would refuse them.
    """

    def write(self, model: NamedModel, directory: Path, sample: Mapping[str, Any] | None) -> None:
        """Writes the model's files into an existing empty folder.

        Args:
            model: The model under the names of its `signature`; `model.keras` is the Keras model.
            directory: Where the files go; it becomes the version folder once verified.
            sample: Real rows of input, arrays by name, or None.
        """
        ...

    def predict(self, directory: Path, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Computes outputs from what `write` wrote; called in a fresh process to verify it.

        Args:
            directory: What `write` wrote.
            inputs: Arrays by name, rows first.

        Returns:
            An array for each output, by its name in the signature.
        """
        ...


@runtime_checkable
class BatchSizeSchedule(Protocol):
    """A batch size for each epoch of one `fit`: the other product of the kind "schedule"."""

    def size(self, epoch: int) -> int:
        """Rows in a batch of an epoch, counted from 0."""
        ...

    def fit_arguments(self, data: Any, epochs: int, shuffle: bool = True, seed: int = 0) -> dict[str, Any]:
        """The arguments that make `model.fit` follow it.

        Args:
            data: A Data, of which the train part is taken, or such a part.
            epochs: Epochs of the fit.
            shuffle: Whether the rows come in another order in each epoch.
            seed: Seed of these orders.
        """
        ...

    def callback(self) -> Any:
        """The `keras.callbacks.Callback` that has `fit_arguments` too."""
        ...
