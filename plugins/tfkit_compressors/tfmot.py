"""TensorFlow Model Optimization and tf_keras (Keras 2), imported late and without their side effects."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

_LEGACY = "TF_USE_LEGACY_KERAS"


@functools.cache
def pruning() -> tuple[Any, Any]:
    """TFMOT's modules `pruning_impl` and `pruning_schedule`.

    Raises:
        ModuleNotFoundError: If TFMOT is not installed.
    """
    with _same_keras():
        from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl, pruning_schedule
    return pruning_impl, pruning_schedule


@functools.cache
def api() -> Any:
    """The package `tensorflow_model_optimization`, which works on tf_keras models.

    Raises:
        ModuleNotFoundError: If TFMOT or tf_keras is not installed.
    """
    tf_keras()
    with _same_keras():
        import tensorflow_model_optimization
    return tensorflow_model_optimization


@functools.cache
def quant_ops() -> Any:
    """TFMOT's module of the operations that its quantizers call.

    Raises:
        ModuleNotFoundError: If TFMOT is not installed.
    """
    with _same_keras():
        from tensorflow_model_optimization.python.core.quantization.keras import quant_ops
    return quant_ops


@functools.cache
def tf_keras() -> Any:
    """The package `tf_keras`, Keras 2.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    with _same_keras():
        import tf_keras
    return tf_keras


@contextlib.contextmanager
def _same_keras() -> Iterator[None]:
    """Keeps `tf.keras` what it is.

    Importing TFMOT sets TF_USE_LEGACY_KERAS, which would turn `tf.keras` into Keras 2 for the whole
    process: it is put back as it was, and `tf.keras` is resolved before.
    """
    import tensorflow as tf

    before = os.environ.get(_LEGACY)
    _ = tf.keras.layers
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_LEGACY, None)
        else:
            os.environ[_LEGACY] = before
