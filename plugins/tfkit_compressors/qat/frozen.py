"""What an export computes in the place of layers: products and folds in the form that LiteRT has integers for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit_compressors.qat.plan import Fold
from tfkit_compressors.qat.products import Matrix, as_product, matrix, reshaped
from tfkit_compressors.qat.weights import Kernel

Body = Callable[[Any], Any]
# Of these the converter takes scales of channels that are told, of a dense layer as a convolution.
_TOLD = (keras.layers.Dense, keras.layers.Conv2D)


class Constant:
    """The value of a variable in an export.

    The converter takes 8-bit scales of channels from the values themselves, whose greatest is the grid's end;
    other grids are told by fake quantization of the constant.

    Args:
        value: The value.
        bits: Bits of the grid that is told; None where none is.
        high: The grid's ends, of the value's rank: one for all, or one for each entry of the last axis.
    """

    def __init__(self, value: Any, bits: int | None = None, high: Any = None) -> None:
        self.value = np.asarray(value, "float32")
        self._bits = bits
        self._high = None if bits is None else np.maximum(np.asarray(high, "float32").reshape(-1), 1e-9)

    def tensor(self) -> Any:
        """The value in the graph that is being traced."""
        return tf.constant(self.value) if self._bits is None else self._told(self.value)

    def as_filter(self) -> Any:
        """A dense layer's kernel as that of a 1x1 convolution."""
        return self._told(self.value[None, None])

    def as_matrix(self, found: Matrix) -> Any:
        """The value as a matrix; it has no ends by channel that are told."""
        value = found.of(self.value)
        return tf.constant(value) if self._bits is None else self._told(value)

    @property
    def is_told_by_channel(self) -> bool:
        """Whether channels have ends that are told."""
        return self._high is not None and len(self._high) > 1

    def _told(self, value: Any) -> Any:
        assert self._high is not None
        fake = {"num_bits": self._bits, "narrow_range": True}
        if not self.is_told_by_channel:
            (high,) = map(float, self._high)
            return tf.quantization.fake_quant_with_min_max_args(value, -high, high, **fake)
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(value, -self._high, self._high, **fake)


class Frozen:
    """The constants of a baked model, as an export has them.

    Args:
        kernels: The baked kernels.
        folds: The BatchNormalization layers that are folded into the layer before them.
        factors: Pairs of a layer and what its kernel and bias are multiplied with.
    """

    def __init__(
        self, kernels: Sequence[Kernel], folds: Sequence[Fold], factors: Sequence[tuple[Any, float]] = ()
    ) -> None:
        self._kernels = kernels
        self._folds = {id(fold.layer): fold for fold in folds}
        self._affine = {id(fold.layer): _affine(fold.norm) for fold in folds}
        self._scaled = [*(fold.layer for fold in folds), *(layer for layer, _ in factors)]
        self._scales = {key: scale for key, (scale, _) in self._affine.items()}
        self._scales.update((id(layer), np.float32(factor)) for layer, factor in factors)

    @cached_property
    def constants(self) -> dict[int, tuple[keras.Variable, Constant]]:
        """The variables that have other values than their own, and these, by the variable's id."""
        found = {id(each.variable): (each.variable, self._constant(each)) for each in self._kernels}
        for layer in self._scaled:
            # A kernel that is not fake-quantized is scaled too; the converter gives it 8 bits.
            kernel, bias = layer.kernel, layer.bias
            found.setdefault(id(kernel), (kernel, Constant(kernel.numpy() * self._scale(layer))))
            if bias is not None:
                found[id(bias)] = (bias, Constant(bias.numpy() * self._scales[id(layer)]))
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
            constant, form = self.constants[id(kernel.variable)][1], matrix(kernel.layer)
            if form is not None and constant.is_told_by_channel:
                found[id(kernel.layer)] = self._as_convolution(kernel.layer, constant)
            elif form is not None:
                found[id(kernel.layer)] = self._as_product(kernel.layer, constant, form)
        return found

    def _constant(self, kernel: Kernel) -> Constant:
        value, scale, grid = kernel.variable.numpy(), self._scale(kernel.layer), kernel.grid
        if grid.bits == 8 and (grid.channels or (np.ndim(scale) and type(kernel.layer) not in _TOLD)):
            return Constant(value * scale)
        return Constant(value * scale, grid.bits, grid.limits(value) * np.abs(scale))

    def _scale(self, layer: Any) -> Any:
        """What a layer's kernel is multiplied with, by a folded BatchNormalization as a rule."""
        scale = self._scales.get(id(layer))
        if scale is None:
            return np.float32(1.0)
        return scale.reshape(layer.kernel.shape[-2:]) if isinstance(layer, keras.layers.DepthwiseConv2D) else scale

    def _shifted(self, layer: Any) -> Body:
        call, shift = type(layer).call, self._affine[id(layer)][1]
        return lambda inputs: call(layer, inputs) + shift

    def _as_product(self, layer: Any, constant: Constant, form: Matrix) -> Body:
        return as_product(layer, form, lambda: constant.as_matrix(form), self._addends(layer))

    def _as_convolution(self, layer: Any, constant: Constant) -> Body:
        """Of a dense layer itself the converter takes no scales of channels that are told."""
        addends, (features, units) = self._addends(layer), constant.value.shape

        def body(inputs: Any) -> Any:
            images = tf.reshape(inputs, [-1, 1, 1, features])
            outputs = tf.nn.conv2d(images, constant.as_filter(), 1, "VALID")
            for addend in addends:
                outputs = outputs + addend
            outputs = reshaped(outputs, inputs, len(inputs.shape) - 1, (units,))
            return outputs if layer.activation is None else layer.activation(outputs)

        return body

    def _addends(self, layer: Any) -> list[Any]:
        """What is added to a layer's product: its bias, and the shift of a folded BatchNormalization."""
        bias = None if layer.bias is None else layer.bias.numpy() * self._scales.get(id(layer), np.float32(1.0))
        shift = self._affine[id(layer)][1] if id(layer) in self._affine else None
        return [each for each in (bias, shift) if each is not None]


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
