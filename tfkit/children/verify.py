"""What an exported model computes, in a process that knows nothing of the model it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tfkit


def predict(exporter: str, directory: str, inputs: str, outputs: str, names: list[str]) -> list[str]:
    """Calls an exporter's `predict`.

    Args:
        exporter: Name of the exporter.
        directory: What it wrote.
        inputs: An .npz file of the input arrays, in the order of `names`.
        outputs: Where the output arrays go, as .npz.
        names: Names of the inputs.

    Returns:
        Names of the outputs, in the order of the arrays.
    """
    # The caller wrote the file itself; strings are object arrays, which travel pickled.
    with np.load(inputs, allow_pickle=True) as arrays:
        given = dict(zip(names, arrays.values()))
    found = tfkit.create("exporter", exporter).predict(Path(directory), given)
    np.savez(outputs, *(comparable(array) for array in found.values()))
    return list(found)


def comparable(array: object) -> np.ndarray:
    """The array in a dtype that numpy itself knows: bfloat16 becomes float32."""
    made = np.asarray(array)
    return made.astype("float32") if made.dtype.kind == "V" else made
