"""Which axes of a kernel are its output channels: quantization gives each of those a scale of its own."""

from __future__ import annotations

import keras

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def channels_of(layer: keras.layers.Layer, name: str, rank: int) -> tuple[int, ...]:
    """The axes of a layer's kernel that have scales of their own in LiteRT: its output channels.

    Args:
        layer: The layer that owns the kernel.
        name: Its name there, such as "kernel".
        rank: Its rank.

    Example:
        >>> channels_of(keras.layers.DepthwiseConv2D(3), "kernel", 4)
        (2, 3)
    """
    depthwise = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
    if name == "depthwise_kernel" or isinstance(layer, depthwise):
        return (rank - 2, rank - 1)
    if isinstance(layer, _TRANSPOSED):
        return (rank - 2,)
    if isinstance(layer, keras.layers.Embedding):
        return ()
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum_channels(layer.equation)
    return (rank - 1,)


def _einsum_channels(equation: str) -> tuple[int, ...]:
    """The axes of the kernel that are in the output and not in the input: "abc,cde->abde" gives those of d and e."""
    inputs, _, rest = equation.replace("...", "").partition(",")
    kernel = rest.partition("->")[0]
    return tuple(axis for axis, letter in enumerate(kernel) if letter not in inputs)
