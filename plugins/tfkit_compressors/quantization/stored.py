"""With how many bits the converters store a kernel."""

from __future__ import annotations

from collections.abc import Set
from math import prod

import keras

from tfkit.children.four_bits import SMALL

# Layers whose kernels LiteRT has no 4-bit operation for.
EIGHT_BITS = (
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
)


def stored_bits(
    layer: keras.layers.Layer, kernel: keras.Variable, *, bits: int, activations: int | None, kept: Set[int]
) -> int | None:
    """The bits that a kernel has in the file of `quantize`; None for floats.

    Args:
        layer: The layer that owns it.
        kernel: The variable.
        bits: Bits of the weights: 4 or 8.
        activations: Bits of the activations, None for floats.
        kept: The ids of layers that keep 8 bits.

    Example:
        >>> small, large = (keras.layers.Dense(units) for units in (2, 64))
        >>> for layer in (small, large):
        ...     layer.build((None, 32))
        >>> [stored_bits(each, each.kernel, bits=4, activations=8, kept=frozenset()) for each in (small, large)]
        [8, 4]
        >>> stored_bits(small, small.kernel, bits=8, activations=None, kept=frozenset()) is None
        True
    """
    is_large = prod(kernel.shape) >= SMALL
    if bits == 4 and is_large and id(layer) not in kept and _has_four(layer, kernel, activations):
        return 4
    # TensorFlow's converter leaves small kernels in float where activations are.
    return None if bits == 8 and activations is None and not is_large else 8


def _has_four(layer: keras.layers.Layer, kernel: keras.Variable, activations: int | None) -> bool:
    if kernel.name == "embeddings":
        return activations is None
    return kernel.name != "depthwise_kernel" and not isinstance(layer, EIGHT_BITS)
