"""Precisions: pairs of bits of weights and of activations, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping

from tfkit.errors import ParameterError

Precisions = Mapping[tuple[int | None, int | None], str]

# What each pair of (bits of weights, bits of activations) is called in a LiteRT file.
PRECISIONS: Precisions = {
    (None, None): "float",
    (8, 8): "int8",
    (8, 16): "int16x8",
    (8, None): "dynamic-int8",
    (16, None): "float16",
    (4, None): "int4",
    (4, 8): "int8x4",
    (4, 16): "int16x4",
}

# And in a model that Keras has quantized.
OF_KERAS: Precisions = {
    (8, 8): "keras-int8",
    (8, None): "keras-int8-weights",
    (4, 8): "keras-int8x4",
    (4, None): "keras-int4",
}


def precision(bits: int | None, activations: int | None, among: Precisions = PRECISIONS) -> str:
    """The name of a precision.

    Args:
        bits: Bits of the weights.
        activations: Bits of the activations, None for floats.
        among: Those that there are.

    Raises:
        ParameterError: There is no such pair; the text lists those there are.

    Example:
        >>> precision(8, None)
        'dynamic-int8'
        >>> precision(4, None, OF_KERAS)
        'keras-int4'
    """
    if (bits, activations) in among:
        return among[bits, activations]
    pairs = ", ".join(f"{pair} is {name}" for pair, name in among.items() if pair != (None, None))
    raise ParameterError(f"there is no bits={bits!r}, activations={activations!r}; of (bits, activations) {pairs}")
