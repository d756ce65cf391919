"""Penalties on the size of the weights: Keras's own objects, so that a model saved with one loads without tfkit."""

from __future__ import annotations

import keras


def l1_penalty(*, l1: float) -> keras.regularizers.L1L2:
    """`l1 * sum(abs(weights))`.

    Args:
        l1: Factor, finite and >= 0.

    Example:
        >>> float(l1_penalty(l1=0.5)(keras.ops.array([[1.0, -3.0]])))
        2.0
    """
    # Keras's L1 keeps its factor as a float32 tensor: 0.001 comes back as 0.0010000000474974513.
    return keras.regularizers.L1L2(l1=l1)


def l2_penalty(*, l2: float) -> keras.regularizers.L2:
    """`l2 * sum(weights ** 2)`.

    Args:
        l2: Factor, finite and >= 0.

    Example:
        >>> float(l2_penalty(l2=0.5)(keras.ops.array([[1.0, -3.0]])))
        5.0
    """
    return keras.regularizers.L2(l2=l2)


def elastic_net(*, l1: float, l2: float) -> keras.regularizers.L1L2:
    """`l1 * sum(abs(weights)) + l2 * sum(weights ** 2)`.

    Source: Zou and Hastie 2005, the naive elastic net.

    Args:
        l1: Factor of the absolute values, finite and >= 0.
        l2: Factor of the squares, finite and >= 0.

    Example:
        >>> float(elastic_net(l1=0.5, l2=0.5)(keras.ops.array([[1.0, -3.0]])))
        7.0
    """
    return keras.regularizers.L1L2(l1=l1, l2=l2)
