"""Precisions of LiteRT files: pairs of bits of weights and of activations, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping

from tfkit.errors import ParameterError

# What each pair of (bits of weights, bits of activations) is called.
PRECISIONS: Mapping[tuple[int | None, int | None], str] = {
    (None, None): "float",
    (8, 8): "int8",
    (8, 16): "int16x8",
    (8, None): "dynamic-int8",
    (16, None): "float16",
    (4, None): "int4",
    (4, 8): "int8x4",
    (4, 16): "int16x4",
}


def precision(bits: int | None, activations: int | None) -> str:
    """The name of a precision.

    Raises:
        ParameterError: There is no such pair; the text lists those there are.

    Example:
        >>> precision(8, None)
        'dynamic-int8'
    """
    if (bits, activations) in PRECISIONS:
        return PRECISIONS[bits, activations]
    pairs = ", ".join(f"{pair} is {name}" for pair, name in PRECISIONS.items() if pair != (None, None))
    raise ParameterError(f"there is no bits={bits!r}, activations={activations!r}; of (bits, activations) {pairs}")
