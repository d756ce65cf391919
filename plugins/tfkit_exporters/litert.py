"""The exporter to LiteRT."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfkit.formats.conversion import convert
from tfkit.formats.litert import LiteRT
from tfkit.formats.litert_model import LiteRTModel
from tfkit.formats.named_model import NamedModel

FILE = "model.tflite"


class LiteRTExporter:
    """Writes `model.tflite`, with the signature `serving_default` under the names of the model.

    The file takes and gives the dtypes of the model, in every precision. `tfkit compress` looks for the precision
    that costs least; here one is asked for. A model that is a .tflite already is copied.

    Args:
        bits: Bits of the weights: 4, 8, 16 (floats), or None for float32.
        activations: Bits of what is computed: 8 or 16 with weights of 4 or 8 bits, their ranges taken from the
            sample's rows; None for floats.

    Example:
        >>> import tempfile, keras, numpy as np
        >>> model = NamedModel(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
        >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
        ...     LiteRTExporter().write(model, Path(folder), None)
        ...     LiteRTExporter().predict(Path(folder), {"inputs": np.ones((3, 2))})["outputs"].shape
        (3, 1)
    """

    def __init__(self, *, bits: int | None = None, activations: int | None = None) -> None:
        self.bits = bits
        self.activations = activations

    @property
    def is_exact(self) -> bool:
        """Whether the file computes in float32 what the model computes; see `tfkit.Exporter`."""
        return self.bits is None and self.activations is None

    def write(self, model: NamedModel | LiteRTModel, directory: Path, sample: Mapping[str, Any] | None) -> None:
        """Converts the model in a process of its own, or copies a file; see `tfkit.Exporter`."""
        if isinstance(model, LiteRTModel):
            shutil.copyfile(model.path, directory / FILE)
            return
        calibration = sample if self.activations is not None else None
        convert(
            model,
            directory / FILE,
            bits=self.bits,
            activations=self.activations,
            calibration=calibration,
            check=sample,
        )

    def predict(self, directory: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Runs the file's interpreter; see `tfkit.Exporter`."""
        return LiteRT(directory / FILE).by_name(inputs)
