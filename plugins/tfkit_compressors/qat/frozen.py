"""What an export computes in the place of layers: BatchNormalization folded, scales where LiteRT reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit_compressors.qat.grids import Grid
from tfkit_compressors.qat.plan import Fold
from tfkit_compressors.qat.weights import Kernel

Body = Callable[[Any], Any]


class Constant:
    """The value of a variable in an export.

    The converter takes 8-bit scales of channels from the values themselves, which lie on the grid; other
    scales are told by fake quantization of the constant.

    Args:
        value: The value.
        grid: The values that it can take; None where it is no kernel.
    """

    def __init__(self, value: Any, grid: Grid | None = None) -> None:
        self.value = np.asarray(value, "float32")
        self._grid = grid

    def tensor(self) -> Any:
        """The value in the graph that is being traced."""
        if self._grid is None or (self._grid.bits == 8 and self._grid.channels):
            return tf.constant(self.value)
        return self._told(self.value)

    def as_filter(self) -> Any:
        """A dense layer's kernel as that of a 1x1 convolution."""
        return self._told(self.value[None, None])

    @property
    def is_dense_of_four(self) -> bool:
        """Whether it is a matrix with 4-bit scales of channels."""
        return self.value.ndim == 2 and self._grid is not None and self._grid.bits == 4 and bool(self._grid.channels)

    def _told(self, value: Any) -> Any:
        assert self._grid is not None
        fake = {"num_bits": self._grid.bits, "narrow_range": True}
        if not self._grid.channels:
            high = max(float(np.abs(value).max()), 1e-9)
            return tf.quantization.fake_quant_with_min_max_args(value, -high, high, **fake)
        high = np.maximum(np.abs(value).max(tuple(range(value.ndim - 1))), 1e-9)
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(value, -high, high, **fake)


class Frozen:
    """The constants of a baked model, as an export has them.

    Args:
        kernels: The baked kernels.
        folds: The BatchNormalization layers that are folded into the layer before them.
    """

    def __init__(self, kernels: Sequence[Kernel], folds: Sequence[Fold]) -> None:
        self._kernels = kernels
        self._folds = {id(fold.layer): fold for fold in folds}
        self._affine = {id(fold.layer): _affine(fold.norm) for fold in folds}

    @cached_property
    def constants(self) -> dict[int, tuple[keras.Variable, Constant]]:
        """The variables that have other values than their own, and these, by the variable's id."""
        found = {id(each.variable): (each.variable, self._constant(each)) for each in self._kernels}
        for key, fold in self._folds.items():
            if fold.layer.use_bias:
                bias = fold.layer.bias
                found[id(bias)] = (bias, Constant(bias.numpy() * self._affine[key][0]))
        return found

    def values(self) -> list[tuple[keras.Variable, Any]]:
        """Variables and their values, in the graph that is being traced."""
        return [(variable, constant.tensor()) for variable, constant in self.constants.values()]

    def bodies(self) -> dict[int, Body]:
        """What is computed in the place of an operation's own call, by its id."""
        found: dict[int, Body] = {id(fold.norm): _identity for fold in self._folds.values()}
        for key, fold in self._folds.items():
            found[key] = self._shifted(fold.layer)
        for kernel in self._kernels:
            constant = self.constants[id(kernel.variable)][1]
            if type(kernel.layer) is keras.layers.Dense and constant.is_dense_of_four:
                found[id(kernel.layer)] = self._as_convolution(kernel.layer, constant)
        return found

    def _constant(self, kernel: Kernel) -> Constant:
        value = kernel.variable.numpy()
        if id(kernel.layer) not in self._affine:
            return Constant(value, kernel.grid)
        scale = self._affine[id(kernel.layer)][0]
        if isinstance(kernel.layer, keras.layers.DepthwiseConv2D):
            scale = scale.reshape(value.shape[-2:])
        return Constant(value * scale, kernel.grid)

    def _shifted(self, layer: Any) -> Body:
        call, shift = type(layer).call, self._affine[id(layer)][1]
        return lambda inputs: call(layer, inputs) + shift

    def _as_convolution(self, layer: Any, constant: Constant) -> Body:
        """Of a dense layer itself the converter takes no 4-bit scales of channels."""
        shift = self._affine[id(layer)][1] if id(layer) in self._affine else None
        features, units = constant.value.shape

        def body(inputs: Any) -> Any:
            images = tf.reshape(inputs, [-1, 1, 1, features])
            outputs = tf.nn.conv2d(images, constant.as_filter(), 1, "VALID")
            for addend in (layer.bias if layer.use_bias else None, shift):
                outputs = outputs if addend is None else outputs + addend
            outputs = tf.reshape(outputs, [-1, *inputs.shape[1:-1], units])
            return outputs if layer.activation is None else layer.activation(outputs)

        return body


def _identity(inputs: Any) -> Any:
    return inputs


def _affine(norm: Any) -> tuple[Any, Any]:
    """Scale and shift of a BatchNormalization, by channel."""
    scale = 1.0 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.numpy()
    shift = -norm.moving_mean.numpy() * scale
    if norm.center:
        shift = shift + norm.beta.numpy()
    return scale.astype("float32"), shift.astype("float32")
