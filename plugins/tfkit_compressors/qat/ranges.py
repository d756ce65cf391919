"""Range: an activation's least and greatest value, followed while a model trains."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_MOMENTUM = 0.99
_BITS = 8


class Range:
    """Fake-quantizes a tensor to 8 bits between a least and a greatest value.

    The two are the mean over the first batches and a moving average after, with a momentum of 0.99. Zero is
    always among the values. The gradient passes where the tensor lies between them.

    Source: Quantization and training of neural networks for efficient integer-arithmetic-only inference,
    Jacob et al. 2018, section 3.1.

    Args:
        strategy: The `tf.distribute.Strategy` that the model's variables live under.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        with strategy.scope():
            self._limits = tf.Variable(
                [0.0, 0.0, 0.0], trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
            )

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value so far."""
        low, high, _ = self._limits.numpy()
        return (float(low), float(high)) if high > low else (0.0, 1.0)

    def follow(self, tensor: Any) -> None:
        """Takes a batch into account."""
        tensor = tf.cast(tf.stop_gradient(tensor), "float32")
        low, high = tf.minimum(tf.reduce_min(tensor), 0.0), tf.maximum(tf.reduce_max(tensor), 0.0)
        batches = self._limits[2]
        momentum = tf.minimum(_MOMENTUM, batches / (batches + 1))
        moved = self._limits[:2] * momentum + tf.stack([low, high]) * (1 - momentum)
        self._limits.assign(tf.concat([moved, [batches + 1]], 0))

    def __call__(self, tensor: Any) -> Any:
        low, high = self._limits[0], self._limits[1]
        return _fake(tensor, low, tf.where(high > low, high, low + 1.0))

    def frozen(self, factor: float = 1.0) -> Fixed:
        """The same with its values as constants, for an export, and multiplied with a positive factor."""
        low, high = self.limits
        return Fixed(low * factor, high * factor)


class Fixed:
    """Fake-quantizes between values that never change: those LiteRT gives to softmax, sigmoid and tanh.

    Args:
        low: Least value, at most 0.
        high: Greatest value.

    Example:
        >>> Fixed(0.0, 255 / 256)(tf.constant([0.5, 0.123, 2.0])).numpy().tolist()
        [0.5, 0.12109375, 0.99609375]
    """

    def __init__(self, low: float, high: float) -> None:
        self.limits = (low, high)

    def follow(self, tensor: Any) -> None:
        """Does nothing."""

    def __call__(self, tensor: Any) -> Any:
        low, high = self.limits
        quantized = tf.quantization.fake_quant_with_min_max_args(tf.cast(tensor, "float32"), low, high, num_bits=_BITS)
        return tf.cast(quantized, tensor.dtype)

    def frozen(self, factor: float = 1.0) -> Fixed:
        """Itself, or its values multiplied with a positive factor."""
        low, high = self.limits
        return Fixed(low * factor, high * factor)


# What LiteRT's 8-bit operations give out, by the name of the activation.
OUTPUTS = {"softmax": (0.0, 255 / 256), "sigmoid": (0.0, 255 / 256), "tanh": (-1.0, 127 / 128)}


def output_range(operation: Any, strategy: tf.distribute.Strategy) -> Range | Fixed:
    """The range of what an operation gives: LiteRT's own where it has one."""
    activation = getattr(operation, "activation", None)
    name = type(operation).__name__.lower() if activation is None else getattr(activation, "__name__", "")
    return Fixed(*OUTPUTS[name]) if name in OUTPUTS else Range(strategy)


def _fake(tensor: Any, low: Any, high: Any) -> Any:
    quantized = tf.quantization.fake_quant_with_min_max_vars(tf.cast(tensor, "float32"), low, high, num_bits=_BITS)
    return tf.cast(quantized, tensor.dtype)


def is_float(tensor: Any) -> bool:
    """Whether it is a tensor of floats, which alone are quantized."""
    return tf.is_tensor(tensor) and keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))
