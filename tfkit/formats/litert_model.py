"""LiteRTModel: a .tflite file as what is exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfkit.errors import ModelError
from tfkit.formats.arranged import arranged
from tfkit.formats.flatbuffer import activations
from tfkit.formats.litert import LiteRT, Port
from tfkit.formats.purpose import Task, purpose_by
from tfkit.formats.signature import Signature, Tensor


class LiteRTModel:
    """A file that is written already, with the names of its signature; the exporter litert copies it.

    Quantized inputs and outputs are floats here, as `tfkit.formats.litert.LiteRT` takes and gives them.

    Args:
        file: The file, open.
        task: "classification" or "regression"; None finds it out by the operator that gives the output.
        labels: Names of the classes.

    Attributes:
        path: The file.
        signature: Names, dtypes and shapes; the number of rows is open, also where the file computes some at a time.
        purpose: What the model is for.

    Raises:
        ModelError: An input has no rows.
        ParameterError: Labels that no output fits.

    Example:
        >>> LiteRTModel(LiteRT("digits.tflite")).signature.inputs  # doctest: +SKIP
        (Tensor(name='pixels', dtype='float32', shape=(None, 64)),)
    """

    def __init__(self, file: LiteRT, *, task: Task | None = None, labels: Sequence[str] | None = None) -> None:
        self.path, self._file = file.path, file
        scalars = [port.name for port in file.inputs if not port.shape]
        if scalars:
            raise ModelError(f"the input {scalars[0]!r} of {self.path} is a scalar: only what takes rows is exported")
        self.signature = Signature(*(tuple(map(_tensor, side)) for side in (file.inputs, file.outputs)))
        found = activations(self.path.read_bytes())
        self.purpose = purpose_by(found[0] if len(found) == 1 else "", "", self.signature, task=task, labels=labels)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def preprocessing(self) -> list[str]:
        """Empty: a file tells of no layers."""
        return []

    def arrange(self, sample: Any) -> dict[str, Any]:
        """Rows as arrays by name, of the signature's dtypes.

        Args:
            sample: An array, or for several inputs a dict, list or tuple of arrays; rows first.

        Raises:
            DataError: It lacks an input, or an input has another shape, dtype or number of rows.
        """
        names = [tensor.name for tensor in self.signature.inputs]
        by_name = {name: name for name in names} if isinstance(sample, dict) else names
        return arranged(sample, names[0] if len(names) == 1 else by_name, self.signature)

    def compute(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """The file's outputs for rows, arrays by name.

        Args:
            rows: Arrays by name, rows first.
        """
        return self._file.by_name(rows)


def _tensor(port: Port) -> Tensor:
    import numpy as np

    kind = np.dtype(port.dtype)
    dtype = "float32" if port.scale else "string" if kind.kind in "OSU" else kind.name
    return Tensor(port.name, dtype, (None, *port.shape[1:]) if port.shape else ())
