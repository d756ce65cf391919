"""What an exported model computes, in a process that knows nothing of the model it came from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import tfkit
from tfkit.formats.sidecar import read_sidecar
from tfkit.formats.signature import Signature, random_inputs
from tfkit.models import load_model

# What string inputs hold: text that also reads as a number.
_TEXT = "0"
_REPEATS = 50
_SECONDS = 1.0


def predict(
    exporter: str, params: dict[str, Any], directory: str, inputs: str, outputs: str, names: list[str]
) -> list[str]:
    """Calls an exporter's `predict`.

    Args:
        exporter: Name of the exporter.
        params: Its parameters.
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
    found = tfkit.create("exporter", exporter, **params).predict(Path(directory), given)
    np.savez(outputs, *(comparable(array) for array in found.values()))
    return list(found)


def check(
    exporter: str, params: dict[str, Any], directory: str, inputs: str, outputs: str, names: list[str]
) -> dict[str, list[str]]:
    """Calls an exporter's `predict` and its `examine`; see those two.

    Returns:
        Names of the outputs by "names", advice by "advice".
    """
    found = predict(exporter, params, directory, inputs, outputs, names)
    return {"names": found, "advice": examine(exporter, params, directory)}


def examine(exporter: str, params: dict[str, Any], directory: str) -> list[str]:
    """Calls an exporter's `examine`; nothing to tell where it has none.

    Args:
        exporter: Name of the exporter.
        params: Its parameters.
        directory: What it wrote, or what another program wrote in that format.
    """
    made = tfkit.create("exporter", exporter, **params)
    return list(made.examine(Path(directory))) if hasattr(made, "examine") else []


def latencies(exporter: str, params: dict[str, Any], directory: str, sizes: list[int]) -> list[float]:
    """Median latency of made-up batches.

    Args:
        exporter: Name of the exporter.
        params: Its parameters.
        directory: What it wrote.
        sizes: Rows of the batches.

    Returns:
        Milliseconds, one for each size.
    """
    signature = Signature.from_dict(read_sidecar(Path(directory))["signature"])
    model = load_model(directory)
    return [_latency(model, random_inputs(signature, size, text=_TEXT)) for size in sizes]


def _latency(model: Any, rows: dict[str, Any]) -> float:
    for _ in range(3):
        model.by_name(rows)
    times = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        model.by_name(rows)
        times.append(time.perf_counter() - begin)
        if sum(times) > _SECONDS:
            break
    return float(np.median(times) * 1000)


def comparable(array: object) -> np.ndarray:
    """The array in a dtype that numpy itself knows: bfloat16 becomes float32."""
    made = np.asarray(array)
    return made.astype("float32") if made.dtype.kind == "V" else made
