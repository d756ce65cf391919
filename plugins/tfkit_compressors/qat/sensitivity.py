"""How much each layer of a model suffers from weights of few bits, and which layers to give 4 of them."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfkit import Data
from tfkit.data import leaves
from tfkit.pipeline.predictions import predict
from tfkit.pipeline.rows import higher_is_better, part_metric
from tfkit.recipe import Step
from tfkit_compressors.qat.weights import Kernel, chosen
from tfkit_compressors.schemas import Qat

# Rows of output that are compared.
_ROWS = 512


def sensitivity(
    model: keras.Model, data: Data, metric: Step = "accuracy", bits: Sequence[int] = (4, 8), exclude: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Quantizes one layer's weights at a time, without training.

    Args:
        model: A built model; it is the same afterwards.
        data: The metric is measured on its validation part (train where there is none).
        metric: A metric plugin: name or (name, params).
        bits: The bits to try.
        exclude: Layers to leave out, by name or type.

    Returns:
        A row for each kernel and bits: kernel (its path), layer, parameters, bits (those that LiteRT stores: 8
        for 4 where it has no 4-bit operation), metric, drop (what the metric loses) and sqnr_db, the outputs'
        signal to noise in decibels (inf where nothing changed).

    Raises:
        ModelError: The model is not built, or has nothing to quantize.
    """
    rows = data.arrays(data.choosing, _ROWS)[0]
    before, expected = part_metric(model, data, data.choosing, metric), predict(model, rows)
    found = []
    for wanted in bits:
        for kernel in chosen(model, Qat(bits=_known(wanted), activations=None, exclude=tuple(exclude))):
            with _rounded([kernel]):
                value = part_metric(model, data, data.choosing, metric)
                ratio = _sqnr(expected, predict(model, rows))
            found.append({**_row(kernel), "metric": value, "drop": _drop(before, value, metric), "sqnr_db": ratio})
    return found


def within_drop(model: keras.Model, data: Data, settings: Qat) -> dict[int, int]:
    """The bits of each kernel, by the id of its variable: 4 in as many as the metric allows, 8 in the others.

    The kernels are taken in the order of what 4 bits alone do to the outputs, the least harmful first, and
    keep them if the metric of all that have them so far, 8 bits in the others, is within the bound.

    Args:
        model: A built model; it is the same afterwards.
        data: The metric is measured on its validation part (train where there is none).
        settings: The parameters of qat, with bits=4 and a max_drop.
    """
    assert settings.max_drop is not None
    metric = settings.metric
    kernels = chosen(model, settings)
    eight = {id(each.variable): dataclasses.replace(each.grid, bits=8) for each in kernels}
    grids = dict(eight)
    rows = data.arrays(data.choosing, _ROWS)[0]
    before, expected = part_metric(model, data, data.choosing, metric), predict(model, rows)

    def harm(kernel: Kernel) -> float:
        with _rounded([kernel]):
            return -_sqnr(expected, predict(model, rows))

    for kernel in sorted((each for each in kernels if each.grid.bits == 4), key=harm):
        key = id(kernel.variable)
        grids[key] = kernel.grid
        with _rounded([dataclasses.replace(each, grid=grids[id(each.variable)]) for each in kernels]):
            lost = _drop(before, part_metric(model, data, data.choosing, metric), metric)
        if lost > settings.max_drop:
            grids[key] = eight[key]
    return {key: grid.bits for key, grid in grids.items()}


def _known(bits: int) -> Any:
    from tfkit.parameters import check

    return check(Qat, {"bits": bits}, owner="sensitivity")["bits"]


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


def _row(kernel: Kernel) -> Mapping[str, Any]:
    variable = kernel.variable
    return {
        "kernel": variable.path,
        "layer": kernel.layer.name,
        "parameters": int(np.prod(variable.shape)),
        "bits": kernel.grid.bits,
    }


def _drop(before: float, value: float, metric: Step) -> float:
    return before - value if higher_is_better(metric) else value - before


def _sqnr(expected: Any, outputs: Any) -> float:
    signal = sum(float(np.square(each, dtype="float64").sum()) for each in leaves(expected))
    noise = sum(
        float(np.square(np.subtract(one, other, dtype="float64")).sum())
        for one, other in zip(leaves(expected), leaves(outputs))
    )
    return 10 * math.log10(signal / noise) if noise and signal else math.inf
