"""Which kernels get 4 bits and which 8, for as much of a metric as may be lost."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tfkit import Data
from tfkit.nests import leaves
from tfkit.pipeline.rows import Yardstick
from tfkit_compressors.qat.weights import Kernel, chosen
from tfkit_compressors.schemas import Qat


def within_drop(model: keras.Model, data: Data, settings: Qat) -> dict[int, int]:
    """The bits of each kernel, by the id of its variable: 4 in as many as the metric allows, 8 in the others.

    The kernels are taken in the order of what 4 bits alone do to the outputs, the least harmful first, and
    keep them if the metric of all that have them so far, 8 bits in the others, is within the bound.

    Args:
        model: A built model; it is the same afterwards.
        data: The metric is measured on its validation part (train where there is none).
        settings: The parameters of qat, with bits=4 and a max_drop.

    Raises:
        ModelError: The model is not built, has nothing to quantize, or has several outputs.
    """
    assert settings.max_drop is not None
    kernels = chosen(model, settings)
    eight = {id(each.variable): dataclasses.replace(each.grid, bits=8) for each in kernels}
    grids = dict(eight)
    yardstick = Yardstick(model, data, settings.metric)
    before = yardstick.value_of(yardstick.source_outputs)
    for kernel in _least_harmful_first([each for each in kernels if each.grid.bits == 4], yardstick):
        key = id(kernel.variable)
        grids[key] = kernel.grid
        with _rounded([dataclasses.replace(each, grid=grids[id(each.variable)]) for each in kernels]):
            lost = yardstick.lost(before, yardstick.value_of(yardstick.outputs(model)))
        if lost > settings.max_drop:
            grids[key] = eight[key]
    return {key: grid.bits for key, grid in grids.items()}


def _least_harmful_first(kernels: Sequence[Kernel], yardstick: Yardstick) -> list[Kernel]:
    def ratio(kernel: Kernel) -> float:
        with _rounded([kernel]):
            return _sqnr(yardstick.source_outputs, yardstick.outputs(yardstick.source))

    return sorted(kernels, key=ratio, reverse=True)


@contextlib.contextmanager
def _rounded(kernels: Sequence[Kernel]) -> Iterator[None]:
    """Writes the quantized values into some kernels, for a while."""
    before = [kernel.variable.numpy() for kernel in kernels]
    try:
        for kernel in kernels:
            kernel.variable.assign(kernel.quantized())
        yield
    finally:
        for kernel, value in zip(kernels, before):
            kernel.variable.assign(value)


def _sqnr(expected: Any, outputs: Any) -> float:
    """Signal to quantization noise of the outputs, in decibels; inf where nothing changed."""
    signal = sum(float(np.square(each, dtype="float64").sum()) for each in leaves(expected))
    noise = sum(
        float(np.square(np.subtract(one, other, dtype="float64")).sum())
        for one, other in zip(leaves(expected), leaves(outputs))
    )
    return 10 * math.log10(signal / noise) if noise and signal else math.inf
