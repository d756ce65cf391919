"""QuantizedOperation: an operation whose inputs and outputs are fake-quantized."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import remove_from_method, replace_method
from tfkit_compressors.qat.attention import PROJECTING, applied, dot_product, spelled_out
from tfkit_compressors.qat.plan import Site
from tfkit_compressors.qat.ranges import OUTPUTS, Fixed, Range, is_float, output_range

# The operation's own `call`.
Own = Callable[..., Any]
# The attribute that notes of a tensor that it is quantized.
_GRID = "_tfkit_grid"
# Of the weights of attention.
_WEIGHTS = Fixed(*OUTPUTS["softmax"])


@dataclass(frozen=True)
class _Grids:
    """What is quantized at an operation, and between which values; the names are those of `Site`."""

    inputs: Mapping[int, Range | Fixed]
    before: Range | Fixed | None
    between: Range | Fixed | None
    scores: Range | Fixed | None
    outputs: Sequence[Range | Fixed]

    def frozen(self, factor: float) -> _Grids:
        """The same as constants, the outputs' multiplied with a factor."""
        before, between, scores = (each and each.frozen() for each in (self.before, self.between, self.scores))
        inputs = {position: each.frozen() for position, each in self.inputs.items()}
        return _Grids(inputs, before, between, scores, [each.frozen(factor) for each in self.outputs])


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
        self._live = self._grids = _Grids(
            inputs={position: Range(strategy) for position in site.inputs},
            before=Range(strategy) if site.before else None,
            between=Range(strategy) if site.between else None,
            scores=Range(strategy) if site.scores else None,
            outputs=[output_range(site.operation, strategy) for _ in range(site.outputs)],
        )

    @property
    def score_step(self) -> float:
        """The quantization step of the scores that its softmax or sigmoid takes; 0.0 where it has none."""
        grids = self._live
        if grids.before is None or not any(isinstance(each, Fixed) for each in grids.outputs):
            return 0.0
        low, high = grids.before.limits
        return (high - low) / 255

    def install(self) -> None:
        """Puts this in the place of the operation's `call`."""
        replace_method(self.operation, "call", self._call)
        if self._applies_scores:
            replace_method(self.operation, "_apply_scores", self._apply_scores)

    def remove(self) -> None:
        """Takes it out again."""
        remove_from_method(self.operation, "call", self._call)
        if self._applies_scores:
            remove_from_method(self.operation, "_apply_scores", self._apply_scores)

    def freeze(self, factor: float = 1.0) -> None:
        """Makes constants of the ranges, until `thaw`.

        Args:
            factor: What the operation's outputs are multiplied with meanwhile.
        """
        self._grids = self._live.frozen(factor)

    def thaw(self) -> None:
        """Has the ranges again that can follow."""
        self._grids = self._live

    @property
    def _applies_scores(self) -> bool:
        return self._grids.scores is not None and isinstance(self.operation, keras.layers.Layer)

    def _call(self, own: Own, *args: Any, **kwargs: Any) -> Any:
        # A masked score is far below all others: no grid has both, and LiteRT computes that softmax in float.
        is_masked = isinstance(self.operation, keras.layers.Softmax) and kwargs.get("mask") is not None
        outputs = self._activated(own, *(args if is_masked else self._quantized_inputs(args)), **kwargs)
        if self._site.table:
            return _on_a_grid(outputs)
        ranges = iter(self._grids.outputs)
        return keras.tree.map_structure(lambda each: self._through(next(ranges, None), each), outputs)

    def _quantized_inputs(self, args: Any) -> Any:
        if not self._grids.inputs:
            return args
        positions = iter(_positions(args))
        return keras.tree.map_structure(lambda leaf: self._through(self._grids.inputs.get(next(positions)), leaf), args)

    def _activated(self, own: Own, *args: Any, **kwargs: Any) -> Any:
        if not self._site.before:
            return self._computed(own, *args, **kwargs)
        activation = self.operation.activation
        self.operation.activation = None
        try:
            return activation(self._through(self._grids.before, self._computed(own, *args, **kwargs)))
        finally:
            self.operation.activation = activation

    def _computed(self, own: Own, *args: Any, **kwargs: Any) -> Any:
        if self.body is not None:
            return self.body(*args)
        if self._site.between:
            return self._separable(*args)
        if isinstance(self.operation, PROJECTING):
            return spelled_out(self.operation, own, *args, **kwargs)
        if self._grids.scores is not None and not self._applies_scores:
            return dot_product(self.operation, self._through_attention, *args, **kwargs)
        return own(*args, **kwargs)

    def _apply_scores(self, own: Own, *args: Any, **kwargs: Any) -> Any:
        return applied(self.operation, self._through_attention, *args, **kwargs)

    @property
    def _through_attention(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        return partial(self._through, self._grids.scores), partial(self._through, _WEIGHTS)

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
        outputs = keras.ops.conv(self._through(self._grids.between, between), layer.pointwise_kernel, **shape)
        if layer.use_bias:
            outputs = keras.ops.add(outputs, _spread(layer.bias, outputs, layer.data_format))
        return outputs if layer.activation is None else layer.activation(outputs)

    def _through(self, limits: Range | Fixed | None, tensor: Any) -> Any:
        # A second grid on one tensor would be the converter's for the tensor, and the first one its scale for a bias.
        if limits is None or not is_float(tensor) or hasattr(tensor, _GRID):
            return tensor
        if self.follows:
            limits.follow(tensor)
        return _on_a_grid(_with_logits(limits(tensor) if self.quantizes else tf.identity(tensor), tensor))


def _on_a_grid(tensor: Any) -> Any:
    """The tensor, with a note that it is quantized."""
    setattr(tensor, _GRID, True)
    return tensor


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
