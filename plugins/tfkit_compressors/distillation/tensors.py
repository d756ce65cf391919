"""What Keras notes on the tensors that models give: their mask, and the logits behind a softmax or sigmoid."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

# Of a probability: its logarithm and the gradient of that, its inverse, are finite in the dtype.
_LEAST = {"float16": 2**-14}
_LEAST_OF_OTHERS = 1e-30


def noted_logits(output: Any) -> Any:
    """The logits that a softmax or sigmoid at a model's end was given, exact in any dtype; else None."""
    return getattr(output, "_keras_logits", None)


def mask_of(output: Any) -> Any:
    """The mask of a model's output, or None."""
    return getattr(output, "_keras_mask", None)


def with_mask(tensor: Any, mask: Any) -> Any:
    """The same values with a mask, which `keras.Loss` reads, or with none."""
    tensor = tf.identity(tensor)
    if mask is not None:
        tensor._keras_mask = mask
    return tensor


def float32(tensor: Any) -> Any:
    """The tensor in float32, in which losses are computed; float64 stays."""
    tensor = tf.convert_to_tensor(tensor)
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def log(probability: Any) -> Any:
    """The logarithm of a probability in float32, finite where that is 0, as is its gradient."""
    least = _LEAST.get(keras.backend.standardize_dtype(probability.dtype), _LEAST_OF_OTHERS)
    return keras.ops.log(keras.ops.maximum(float32(probability), least))
