"""QuantizedOperation: an operation whose inputs and outputs are fake-quantized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import remove_from_method, replace_method
from tfkit_compressors.qat.plan import ATTENTION, Site
from tfkit_compressors.qat.ranges import Fixed, Range, is_float, output_range

# The operation's own `call`.
Own = Callable[..., Any]


class QuantizedOperation:
    """Stands in for the `call` of one operation.

    Args:
        site: What is quantized at it.
        strategy: The `tf.distribute.Strategy` that the model's variables live under.

    Attributes:
        operation: The operation.
        follows: Whether ranges follow what passes.
        quantizes: Whether what passes is quantized.
        body: Called in the place of the operation's own computation, in an export; None for that.
    """

    def __init__(self, site: Site, strategy: tf.distribute.Strategy) -> None:
        self.operation = site.operation
        self.follows = False
        self.quantizes = True
        self.body: Any = None
        self._site = site
        self._inputs: dict[int, Range | Fixed] = {position: Range(strategy) for position in site.inputs}
        self._before: Range | Fixed | None = Range(strategy) if site.before else None
        self._between: Range | Fixed | None = Range(strategy) if site.between else None
        self._outputs = [output_range(site.operation, strategy) for _ in range(site.outputs)]

    @property
    def score_step(self) -> float:
        """The quantization step of the scores that its softmax or sigmoid takes; 0.0 where it has none."""
        if self._before is None or not any(isinstance(each, Fixed) for each in self._outputs):
            return 0.0
        low, high = self._before.limits
        return (high - low) / 255

    def install(self) -> None:
        """Puts this in the place of the operation's `call`."""
        replace_method(self.operation, "call", self._call)

    def remove(self) -> None:
        """Takes it out again."""
        remove_from_method(self.operation, "call", self._call)

    def freeze(self) -> None:
        """Makes constants of the ranges."""
        self._inputs = {position: each.frozen() for position, each in self._inputs.items()}
        self._before, self._between = (each and each.frozen() for each in (self._before, self._between))
        self._outputs = [each.frozen() for each in self._outputs]

    def _call(self, own: Own, *args: Any, **kwargs: Any) -> Any:
        outputs = self._activated(own, *self._quantized_inputs(args), **kwargs)
        ranges = iter(self._outputs)
        return keras.tree.map_structure(lambda each: self._through(next(ranges, None), each), outputs)

    def _quantized_inputs(self, args: Any) -> Any:
        if not self._inputs:
            return args
        positions = iter(_positions(args))
        return keras.tree.map_structure(lambda leaf: self._through(self._inputs.get(next(positions)), leaf), args)

    def _activated(self, own: Own, *args: Any, **kwargs: Any) -> Any:
        if not self._site.before:
            return self._computed(own, *args, **kwargs)
        activation = self.operation.activation
        self.operation.activation = None
        try:
            return activation(self._through(self._before, self._computed(own, *args, **kwargs)))
        finally:
            self.operation.activation = activation

    def _computed(self, own: Own, *args: Any, **kwargs: Any) -> Any:
        if self.body is not None:
            return self.body(*args)
        if self._site.between:
            return self._separable(*args)
        if isinstance(self.operation, ATTENTION) and not kwargs.get("return_attention_scores"):
            return own(*args, **{**kwargs, "return_attention_scores": True})[0]
        return own(*args, **kwargs)

    def _separable(self, inputs: Any) -> Any:
        layer = self.operation
        shape = {"data_format": layer.data_format}
        between = keras.ops.depthwise_conv(
            inputs,
            layer.depthwise_kernel,
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            **shape,
        )
        outputs = keras.ops.conv(self._through(self._between, between), layer.pointwise_kernel, **shape)
        if layer.use_bias:
            outputs = keras.ops.add(outputs, _spread(layer.bias, outputs, layer.data_format))
        return outputs if layer.activation is None else layer.activation(outputs)

    def _through(self, limits: Range | Fixed | None, tensor: Any) -> Any:
        if limits is None or not is_float(tensor):
            return tensor
        if self.follows:
            limits.follow(tensor)
        return _with_logits(limits(tensor), tensor) if self.quantizes else tensor


def _with_logits(quantized: Any, tensor: Any) -> Any:
    """Keras's note of what a softmax or sigmoid was given: of probabilities in steps a loss has hardly a gradient."""
    if hasattr(tensor, "_keras_logits"):
        quantized._keras_logits = tensor._keras_logits
    return quantized


def _positions(args: Any) -> Iterator[int | None]:
    """For each leaf of the arguments its position among the tensors; None for other leaves."""
    count = 0
    for leaf in keras.tree.flatten(args):
        if tf.is_tensor(leaf):
            yield count
            count += 1
        else:
            yield None


def _spread(bias: Any, outputs: Any, data_format: str) -> Any:
    rank = len(outputs.shape)
    channel = 1 if data_format == "channels_first" else rank - 1
    return keras.ops.reshape(bias, [-1 if axis == channel else 1 for axis in range(rank)])
