"""The conversion of a SavedModel to LiteRT, in a process that may crash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfkit.children.four_bits import four_bits
from tfkit.errors import ConversionError
from tfkit.formats.flatbuffer import reordered
from tfkit.reasons import reason

_INT8 = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
_INT16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
# What the converter says of an operation that LiteRT lacks, and of a loop over rows of an unknown number.
_NO_KERNEL = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
_OPEN_LOOP = re.compile(r"'tf\.TensorList\w+' op requires element_shape to be static")


def ready() -> None:
    """Does nothing: importing this module is what takes seconds."""


def to_litert(
    saved_model: str,
    path: str,
    inputs: list[str],
    outputs: list[str],
    bits: int | None,
    activations: int | None,
    calibration: str | None,
    kept: str | None,
) -> bool:
    """Converts the serving signature of a SavedModel.

    Args:
        saved_model: The folder.
        path: Where the .tflite goes.
        inputs: Names of the inputs, in the order that the file is to have.
        outputs: Names of the outputs, likewise.
        bits: Bits of the weights: 4, 8, 16, or None for float32.
        activations: Bits of what is computed: 8, 16, or None for float.
        calibration: An .npz file of input rows by name, or None.
        kept: An .npz file of kernels by name that keep 8 bits where bits is 4, or None.

    Returns:
        False if it cannot be done with an open batch, because of a loop in it; the file is not written then.

    Raises:
        ConversionError: The converter refuses the model.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=["serving_default"])
    if bits in (8, 16):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if bits == 16:
        converter.target_spec.supported_types = [tf.float16]
    if activations is not None and bits == 8:
        converter.target_spec.supported_ops = [_INT8 if activations == 8 else _INT16]
        converter.representative_dataset = lambda: _rows(str(calibration))
    try:
        content = converter.convert()
    except Exception as error:
        if _OPEN_LOOP.search(str(error)):
            return False
        raise ConversionError(_reason(error)) from error
    if bits == 4:
        rows = () if calibration is None else _rows(calibration)
        content = four_bits(content, activations=activations, rows=rows, kept=_arrays(kept))
    Path(path).write_bytes(reordered(content, inputs, outputs))
    return True


def _rows(calibration: str) -> Iterator[dict[str, np.ndarray]]:
    """Batches of one row."""
    with np.load(calibration) as file:
        arrays = dict(file)
    for row in range(len(next(iter(arrays.values())))):
        yield {name: array[row : row + 1] for name, array in arrays.items()}


def _arrays(path: str | None) -> dict[str, np.ndarray]:
    if path is None:
        return {}
    with np.load(path) as file:
        return dict(file)


def _reason(error: Exception) -> str:
    lacking = sorted(set(_NO_KERNEL.findall(str(error))))
    return f"LiteRT has no kernel for {', '.join(lacking)}" if lacking else reason(error)
