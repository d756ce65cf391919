"""Mixup."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

import tfkit
from tfkit_callbacks.mixing.mixing import Mixing


class Mixup(Mixing):
    """Trains on λ · a row + (1 − λ) · another, with labels mixed likewise; for class ids their losses are mixed.

    Source: Zhang et al. 2018; one λ for a batch, from Beta(alpha, alpha), as there. Several inputs have one λ and the
    same partners. Each of several outputs has numbers or ids. Keras's `MixUp` layer gives wrong labels where they are
    ids, without a word. As for `Mixing`.

    Args:
        alpha: Of the Beta distribution: 0.2 leaves most rows nearly as they are, 1 makes all shares as likely.
        seed: Of what is random.

    Raises:
        ModelError: As for `Mixing`.
        DataError: As for `Mixing`: inputs that are strings, or ids, for which a model's input is of integers.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> history = model.fit(np.eye(2), np.array([0, 2]), callbacks=[Mixup(alpha=0.4)], verbose=0)
        >>> sorted(history.history)
        ['loss']
    """

    name = "mixup"

    def __init__(self, *, alpha: float = 0.2, seed: int = 0) -> None:
        super().__init__(alpha=alpha, seed=seed)

    def mix(self, x: Any, partners: Any, share: Any, seed: Any) -> tuple[Any, Any]:
        _check_inputs(self.model, x)

        def mixed(leaf: Any) -> Any:
            leaf = leaf if leaf.dtype.is_floating else tf.cast(leaf, tf.float32)
            part = tf.cast(share, leaf.dtype)
            return part * leaf + (1 - part) * tf.gather(leaf, partners)

        return keras.tree.map_structure(mixed, x), share


def _check_inputs(model: keras.Model, x: Any) -> None:
    leaves = keras.tree.flatten(x)
    for leaf in leaves:
        if not isinstance(leaf, tf.Tensor):
            raise tfkit.DataError(f"mixup mixes dense tensors of numbers; the batch has a {type(leaf).__name__}")
        if leaf.dtype in (tf.string, tf.bool):
            raise tfkit.DataError(f"mixup mixes numbers, and the inputs are of type {leaf.dtype.name}")
    # What a model does with integers its inputs tell, where it has any; bytes are those of images.
    taken = [tf.as_dtype(each.dtype) for each in getattr(model, "inputs", None) or leaves]
    if any(dtype.is_integer and dtype != tf.uint8 for dtype in taken):
        raise tfkit.DataError(
            f"mixup mixes quantities, and model {model.name!r} takes integers, which are ids of something: "
            "train without it, or hand in floats"
        )
