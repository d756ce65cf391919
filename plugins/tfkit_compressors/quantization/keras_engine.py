"""Quantization by Keras's own `Model.quantize`: the model stays a Keras file, which models that read text need."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfkit import ModelError, VerificationError, load_model
from tfkit.attach.variables import layers_named
from tfkit.formats.fidelity import Fidelity, fidelity
from tfkit.graph import has_graph, require_graph
from tfkit.nests import leaves
from tfkit.pipeline.predictions import predict
from tfkit.reasons import reason

_TYPES = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Embedding, keras.layers.ReversibleEmbedding)
# Rounding of float32 in another order of operations.
_SAME = 1e-4


def quantize_layers(
    model: keras.Model, *, bits: int, activations: int | None, exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Quantizes the dense layers and embeddings of a model in place.

    Weights get a scale for each output of a kernel and for each row of an embedding. Activations, where they
    are quantized, get one for each row of input while the model runs; embeddings read none.

    Args:
        model: A built Functional or Sequential model; it is changed.
        bits: Bits of the weights: 8 or 4.
        activations: Bits of what dense layers read: 8, or None for floats.
        exclude: Layers to leave in float, by name or type.

    Returns:
        A sentence on the layers that were quantized, and one on those with kernels that stay in float, if any.

    Raises:
        ModelError: The model is not built or is subclassed, has no layer that `exclude` names, or none that
            Keras can quantize.
    """
    left = {id(layer) for layer in layers_named(require_graph(model), exclude)}
    reasons = [(layer, "excluded" if id(layer) in left else _why_not(layer)) for layer in _with_kernels(model)]
    chosen = {id(layer): layer for layer, why in reasons if why is None}
    told = ", ".join(f"{layer.name!r} ({why})" for layer, why in reasons if why)
    if not chosen:
        raise ModelError(
            f"model {model.name!r} has no layer that Keras can quantize: it can do Dense, EinsumDense and Embedding; "
            f"there is {told or 'no layer with a kernel'}"
        )
    try:
        model.quantize(config=_config(bits, activations), filters=lambda layer: id(layer) in chosen)
    except ValueError as error:
        raise ModelError(f"model {model.name!r} cannot be quantized by Keras: {reason(error)}") from error
    notes = f"quantized: {', '.join(repr(layer.name) for layer in chosen.values())}"
    return (notes, f"in float: {told}") if told else (notes,)


def require_near(model: keras.Model, expected: Sequence[Any], rows: Any) -> Fidelity:
    """Compares a quantized model with what it computed in float, then what is loaded of it with itself.

    Args:
        model: The quantized model.
        expected: The outputs of the float model on the rows, each an array.
        rows: Rows of input.

    Raises:
        VerificationError: It computes something else, before or after it was saved and loaded.
        ModelError: It cannot be saved and loaded.
    """
    outputs = leaves(predict(model, rows))
    found = fidelity(expected, outputs)
    if found.far:
        raise VerificationError(
            f"model {model.name!r} quantized by Keras does not compute what it did in float: {found}; "
            "leave layers out with exclude, or take bits=8"
        )
    _require_same(model, outputs, leaves(predict(_loaded(model), rows)))
    return found


def _config(bits: int, activations: int | None) -> Any:
    """What Keras quantizes by: one scale for each output or row.

    Not in groups of inputs, its default for 4 bits: that is wrong where the weights of a group are of one sign.
    """
    quantizer = None if activations is None else keras.quantizers.AbsMaxQuantizer(axis=-1)
    if bits == 8:
        return keras.quantizers.Int8QuantizationConfig(activation_quantizer=quantizer)
    return keras.quantizers.Int4QuantizationConfig(activation_quantizer=quantizer, block_size=None)


def _with_kernels(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers that have matrices, each once, those of nested models in their place; a layer of layers is one."""
    seen: set[int] = set()

    def visit(layers: Sequence[Any]) -> Iterator[keras.layers.Layer]:
        for layer in layers:
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            if has_graph(layer):
                yield from visit(layer.layers)
            elif any(len(weight.shape) > 1 for weight in layer.weights):
                yield layer

    return visit(model.layers)


def _why_not(layer: keras.layers.Layer) -> str | None:
    """Why a layer stays in float; None where Keras quantizes it and says so in the file."""
    if type(layer) not in _TYPES:
        return type(layer).__name__
    if getattr(layer, "quantization_mode", None):
        return "quantized already"
    return "LoRA" if layer.lora_enabled else None


def _loaded(model: keras.Model) -> Any:
    with tempfile.TemporaryDirectory(prefix="tfkit-quantized-") as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return load_model(path)


def _require_same(model: keras.Model, outputs: Sequence[Any], loaded: Sequence[Any]) -> None:
    for one, other in zip(outputs, loaded, strict=True):
        if not np.allclose(one, other, rtol=_SAME, atol=_SAME):
            raise VerificationError(
                f"model {model.name!r} quantized by Keras computes something else once it is saved and loaded: "
                f"outputs differ by {np.abs(one - other).max():.3g}"
            )
