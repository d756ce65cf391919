"""TensorFlow Model Optimization's pruning engine, imported late and without its side effects."""

from __future__ import annotations

import functools
import os
from typing import Any

_LEGACY = "TF_USE_LEGACY_KERAS"


@functools.cache
def pruning() -> tuple[Any, Any]:
    """The modules `pruning_impl` and `pruning_schedule`.

    Importing them sets TF_USE_LEGACY_KERAS, which would turn `tf.keras` into Keras 2 for the whole
    process: it is put back as it was, and `tf.keras` is resolved before.

    Raises:
        ModuleNotFoundError: If TFMOT is not installed.
    """
    import tensorflow as tf

    before = os.environ.get(_LEGACY)
    _ = tf.keras.layers
    try:
        from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl, pruning_schedule
    finally:
        if before is None:
            os.environ.pop(_LEGACY, None)
        else:
            os.environ[_LEGACY] = before
    return pruning_impl, pruning_schedule
