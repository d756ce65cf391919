"""The exporter to OpenVINO."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfkit.errors import ConversionError
from tfkit.formats.conversion import save_for_conversion
from tfkit.formats.named_model import NamedModel

FILE = "model.xml"


class OpenVinoExporter:
    """Writes `model.xml` and `model.bin`, whose inputs and outputs have the names of the model; the batch is open.

    Args:
        half: Whether weights are stored in float16, which halves the file.

    Raises:
        ModuleNotFoundError: openvino is not installed.

    Example:
        >>> OpenVinoExporter().is_exact  # doctest: +SKIP
        True
    """

    def __init__(self, *, half: bool = False) -> None:
        import openvino

        self._openvino = openvino
        self.half = half

    @property
    def is_exact(self) -> bool:
        """Whether the weights are those of the model; see `tfkit.Exporter`."""
        return not self.half

    def write(self, model: NamedModel, directory: Path, sample: Mapping[str, Any] | None) -> None:
        """Converts the model with OpenVINO's own converter; see `tfkit.Exporter`.

        Raises:
            ConversionError: The model reads strings.
        """
        strings = [tensor.name for tensor in model.signature.inputs if tensor.dtype == "string"]
        if strings:
            raise ConversionError(
                f"OpenVINO reads no strings, which {', '.join(strings)} holds: leave the layers that read text "
                "outside, or use format='saved-model'"
            )
        # From a SavedModel it takes the signature's names; of a function's several outputs it loses them.
        with tempfile.TemporaryDirectory(prefix="tfkit-openvino-") as folder:
            save_for_conversion(model, Path(folder))
            made = self._openvino.convert_model(folder)
            self._openvino.save_model(made, str(directory / FILE), compress_to_fp16=self.half)

    def predict(self, directory: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Runs it on the CPU in float32; see `tfkit.Exporter`."""
        core = self._openvino.Core()
        # The CPU plugin may choose bfloat16 by itself.
        compiled = core.compile_model(str(directory / FILE), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = compiled({name: np.ascontiguousarray(values) for name, values in inputs.items()})
        return {port.any_name: np.array(found[port]) for port in compiled.outputs}
