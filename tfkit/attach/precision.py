"""What a built model computes in, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def computed_in(model: keras.Model, policy: str | None) -> Iterator[None]:
    """Has every layer of a built model compute in another dtype until the block ends; its weights stay as they are.

    Args:
        model: A built model of float32 layers.
        policy: The name of a Keras dtype policy, such as "mixed_bfloat16"; None changes nothing.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> with computed_in(model, "mixed_bfloat16"):
        ...     str(keras.backend.standardize_dtype(model(np.ones((1, 2))).dtype))
        'bfloat16'
    """
    if policy is None:
        yield
        return
    layers = list(model._flatten_layers())
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            if layer.compute_dtype == "float32":
                layer.dtype_policy = policy
        yield
    finally:
        for layer, one in zip(layers, before):
            layer.dtype_policy = one
