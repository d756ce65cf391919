"""The two layers that stand for one with a kernel of low rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from tfkit_compressors.factorization.svd import Factors

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TYPES = (keras.layers.Dense, *_CONVOLUTIONS)
# What a layer has besides its kernel goes to the second of the two; the first is linear.
_PLAIN = {"use_bias": False, "activation": None, "activity_regularizer": None}
# What is said of the kernel as a whole, and of neither factor.
OF_KERNEL = ("kernel_regularizer", "kernel_constraint")


def why_not(layer: keras.layers.Layer) -> str | None:
    """Why a layer is not made two, None where it can be; subclasses may compute anything."""
    if type(layer) not in _TYPES:
        return type(layer).__name__
    if not layer.trainable:
        return "frozen"
    if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
        return "quantized or with LoRA"
    return "groups" if getattr(layer, "groups", 1) > 1 else None


def pair(layer: keras.layers.Layer, found: Factors, unique: Callable[[str], str]) -> tuple[keras.layers.Layer, ...]:
    """Two layers that compute what one does, up to what the factors have lost.

    Args:
        layer: A built layer that `why_not` has nothing against.
        found: The factors of its kernel.
        unique: Gives a name that no layer of the model has, from a wish.
    """
    config = {**layer.get_config(), **dict.fromkeys(OF_KERNEL)}
    down = _made(layer, {**config, **_PLAIN, **_width(layer, found.rank), "name": unique(f"{layer.name}_down")})
    up = _made(layer, {**config, **_pointwise(layer)})
    for each, shape in ((down, found.down.shape), (up, (1,) * (found.down.ndim - 2) + found.up.shape)):
        each.build((None, *shape[:-1]) if len(shape) == 2 else _input_shape(layer, shape))
    down.kernel.assign(found.down)
    up.kernel.assign(found.up.reshape(up.kernel.shape))
    if layer.use_bias:
        up.bias.assign(layer.bias)
    return down, up


def _made(layer: keras.layers.Layer, config: Mapping[str, object]) -> keras.layers.Layer:
    return type(layer).from_config(dict(config))


def _width(layer: keras.layers.Layer, channels: int) -> dict[str, int]:
    return {"filters" if isinstance(layer, _CONVOLUTIONS) else "units": channels}


def _pointwise(layer: keras.layers.Layer) -> dict[str, object]:
    if not isinstance(layer, _CONVOLUTIONS):
        return {}
    ones = (1,) * len(layer.kernel_size)
    return {"kernel_size": ones, "strides": ones, "dilation_rate": ones, "padding": "valid"}


def _input_shape(layer: keras.layers.Layer, kernel: tuple[int, ...]) -> tuple[int | None, ...]:
    """The input of a convolution, of any size, with the channels that its kernel reads."""
    space = (None,) * (len(kernel) - 2)
    if layer.data_format == "channels_first":
        return (None, kernel[-2], *space)
    return (None, *space, kernel[-2])
