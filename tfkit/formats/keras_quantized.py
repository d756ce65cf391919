"""Layers that Keras's own `Model.quantize` has changed, and what cannot be done with them."""

from __future__ import annotations

from typing import Any

_ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")


def quantized_layers(model: Any) -> list[str]:
    """Paths of the layers that `Model.quantize` has changed, those inside other layers too.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="out")], name="net")
        >>> model.layers[0].quantize("int8")
        >>> quantized_layers(model)
        ['net/out']
    """
    return [layer.path for layer in model._flatten_layers() if getattr(layer, "quantization_mode", None)]


def conversion_hint(model: Any) -> str:
    """The end of an error's sentence on a conversion that failed; empty where Keras has quantized nothing.

    The converter takes no int8 matrix products and no float8; of int4 kernels with more than one group of inputs,
    128 by default, it makes something else.
    """
    layers = quantized_layers(model)
    if not layers:
        return ""
    return f"; Model.quantize has changed {_some(layers)}: convert the float model, which tfkit quantizes itself"


def saving_hint(model: Any) -> str | None:
    """Why a model cannot be loaded again: Keras does not save that the layers inside an attention are quantized."""
    quantized = set(quantized_layers(model))
    attentions = [layer for layer in model._flatten_layers() if type(layer).__name__ in _ATTENTION]
    lost = [each.path for each in attentions if any(inner.path in quantized for inner in each._flatten_layers())]
    if not lost:
        return None
    return f"Model.quantize has changed {_some(lost)}, which Keras does not save whole: begin from the float model"


def loading_hint(config: Any) -> str:
    """The end of an error's sentence on a file whose weights do not fit its layers."""
    found = next((name for name in _ATTENTION if name in str(config)), None)
    if found is None:
        return ""
    return (
        f"; Keras saves a {found} that Model.quantize has changed without saying so, and cannot load it: "
        "save the float model, and quantize it once it is loaded"
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
