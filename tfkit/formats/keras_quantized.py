"""Layers that Keras's own `Model.quantize` has changed, and what cannot be done with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Weights that Keras packs where they have 4 bits, and the axis of their groups.
_PACKED = {"kernel": 0, "embeddings": -1, "reverse_embeddings": 0}
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
    return [layer.path for layer in model._flatten_layers() if _mode(layer)]


def weight_values(model: Any) -> Iterator[Any]:
    """The weights of a model as arrays, those that `Model.quantize` has changed in the number that they stand for.

    Keras packs two 4-bit values into a byte, and keeps scales, zero points and the groups that they belong to among
    the weights: these are left out, and a value is 0 where it stands for 0.

    Args:
        model: A built Keras model.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, use_bias=False)])
        >>> model.layers[0].quantize("int4")
        >>> sum(weight.size for weight in model.get_weights()), [each.shape for each in weight_values(model)]
        (18, [(4, 3)])
    """
    import numpy as np

    quantized = [layer for layer in model._flatten_layers() if _mode(layer) in ("int8", "int4")]
    owners = {id(weight): layer for layer in quantized for weight in layer.weights}
    for weight in model.weights:
        layer = owners.get(id(weight))
        if layer is None:
            yield np.asarray(weight)
        elif weight.name in _PACKED:
            yield _whole(layer, weight)
        elif not (weight.name.endswith(("_scale", "_zero")) or weight.name == "g_idx"):
            yield np.asarray(weight)


def _whole(layer: Any, weight: Any) -> Any:
    """The integers that a weight of a quantized layer holds, in a byte each, its zero point at 0."""
    import keras
    import numpy as np

    if _mode(layer) == "int8":
        return np.asarray(weight)
    if weight.name == "reverse_embeddings":
        values = np.asarray(keras.quantizers.unpack_int4(weight, layer.output_dim, axis=0))
    else:
        values = np.asarray(getattr(layer, weight.name))
    zero = getattr(layer, f"{weight.name}_zero", None)
    if zero is None:
        return values
    groups = np.asarray(layer.g_idx).astype("int64")
    zeros = np.take(np.asarray(zero), groups, axis=_PACKED[weight.name])
    return values.reshape(zeros.shape) - zeros


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


def _mode(layer: Any) -> str | None:
    return getattr(layer, "quantization_mode", None)
