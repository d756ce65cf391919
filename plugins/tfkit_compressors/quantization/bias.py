"""Bias correction: what rounding a kernel adds to a channel's mean, its bias takes off."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tfkit.attach.channels import channels_of
from tfkit.attach.variables import layers_in
from tfkit.graph import Call, Graph, flattened, keras_type, replaced
from tfkit.pipeline.sensitivity import rounded
from tfkit.replay import flat_inputs
from tfkit_compressors.kernels import NAMES

_DENSE = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_TYPES = (*_DENSE, *_DEPTHWISE, *_SEPARABLE, *_TRANSPOSED)

_PASSED = (keras.layers.Dropout, keras.layers.Identity, keras.layers.Flatten, keras.layers.Reshape)
_SCALES = {
    *("layers.BatchNormalization", "layers.Normalization", "layers.Rescaling"),
    *("ops.Multiply", "ops.Divide", "ops.TrueDivide"),
}

# Of a layer and one of its kernels to the bits that it is stored with, None for floats.
Bits = Callable[[Any, keras.Variable], int | None]
Assignment = tuple[keras.Variable, np.ndarray]


@contextlib.contextmanager
def corrected(model: keras.Model, rows: Any, bits: Bits) -> Iterator[None]:
    """Has the biases of a model make up for the rounding of its kernels, within a block.

    The kernels stay: whoever writes the model within the block rounds them.

    Args:
        model: A built Functional or Sequential model.
        rows: Rows of real input, as the model takes them.
        bits: Gives the bits of each kernel.

    Raises:
        ModelError: The model is not built, or is a subclassed model.
    """
    with _assigned(corrections(model, rows, bits)):
        yield


def corrections(model: keras.Model, rows: Any, bits: Bits) -> list[Assignment]:
    """The biases with which each channel has the mean on these rows that it has without rounding.

    Layer after layer: what a layer reads comes from layers whose kernels are rounded and whose biases are corrected
    already. A layer without bias before a BatchNormalization has its shift added to the moving mean. Layers that
    are called several times or are inside of others, those with neither, and those that read what was only scaled,
    by which the converter multiplies their kernel before it rounds, stay as they are.

    Source: Data-free quantization through weight equalization and bias correction, Nagel et al. 2019, the empirical
    form of section 4.2.

    Args:
        model: A built Functional or Sequential model; it stays as it is.
        rows: Rows of real input, as the model takes them.
        bits: Gives the bits of each kernel.

    Returns:
        Pairs of a variable and its new value.

    Example:
        >>> layer = keras.layers.Dense(1)
        >>> model = keras.Sequential([keras.Input((2,)), layer])
        >>> layer.set_weights([np.array([[7.0], [0.5]]), np.zeros(1)])
        >>> [(_, bias)] = corrections(model, np.array([[1.0, 1.0], [1.0, 2.0]]), lambda layer, kernel: 4)
        >>> bias.tolist()  # the 0.5 is rounded to 0, and what it multiplies has the mean 1.5
        [0.75]
    """
    return _Pass(flattened(model), bits).corrections(flat_inputs(model, rows))


class _Pass:
    """One walk through a graph, on what the model computes and on what it does with rounded kernels."""

    def __init__(self, graph: Graph, bits: Bits) -> None:
        self._graph = graph
        self._bits = bits
        self._times = Counter(id(call.operation) for call in graph.calls)
        self._found: dict[int, Assignment] = {}

    def corrections(self, inputs: Sequence[Any]) -> list[Assignment]:
        exact = {id(tensor): value for tensor, value in zip(self._graph.inputs, inputs, strict=True)}
        coarse = dict(exact)
        last = {id(tensor): call for call in self._graph.calls for tensor in call.inputs}
        for call in self._graph.calls:
            self._correct(call, exact, coarse)
            _compute(call, exact)
            with _assigned(self._of(call.operation)):
                _compute(call, coarse)
            for tensor in call.inputs:
                if last[id(tensor)] is call:
                    exact.pop(id(tensor), None)
                    coarse.pop(id(tensor), None)
        return list(self._found.values())

    def _correct(self, call: Call, exact: dict[int, Any], coarse: dict[int, Any]) -> None:
        place = self._place(call)
        if place is None:
            return
        variable, sign = place
        wanted = _linear_means(call, exact)
        with _assigned(self._of(call.operation)):
            shift = _linear_means(call, coarse) - wanted
        self._found[id(variable)] = (variable, variable.numpy() + (sign * shift).astype("float32"))

    def _of(self, operation: Any) -> list[Assignment]:
        """What an operation computes with instead: rounded kernels, and what was corrected of it."""
        weights = {id(each) for each in getattr(operation, "weights", ())}
        return [*_rounded(operation, self._bits), *(made for key, made in self._found.items() if key in weights)]

    def _place(self, call: Call) -> tuple[keras.Variable, int] | None:
        """What a layer's shift is taken back in, and the sign with which it is added there."""
        layer = call.operation
        if type(layer) not in _TYPES or self._times[id(layer)] > 1 or not _rounded(layer, self._bits):
            return None
        if self._reads_scaled(call):
            return None
        if layer.use_bias:
            return layer.bias, -1
        norm = self._norm_after(call)
        if norm is None or layer.activation is not keras.activations.linear:
            return None
        return norm.moving_mean, 1

    def _reads_scaled(self, call: Call) -> bool:
        before = self._graph.makers.get(call.inputs[0])
        while before is not None and isinstance(before.operation, _PASSED):
            before = self._graph.makers.get(before.inputs[0])
        return before is not None and len(before.inputs) == 1 and keras_type(before.operation) in _SCALES

    def _norm_after(self, call: Call) -> Any:
        readers = self._graph.readers[call.outputs[0]]
        alone = len(readers) == 1 and call.outputs[0] not in self._graph.outputs
        norm = readers[0].operation if alone else None
        if type(norm) is not keras.layers.BatchNormalization or self._times[id(norm)] > 1:
            return None
        rank = len(call.outputs[0].shape)
        return norm if norm.axis % rank == _channel_axis(call.operation) % rank else None


def _rounded(operation: Any, bits: Bits) -> list[Assignment]:
    """The kernels in an operation, frozen ones too, as they will be stored."""
    owners: dict[int, tuple[Any, keras.Variable]] = {}
    for layer in layers_in(operation) if isinstance(operation, keras.layers.Layer) else ():
        owners.update((id(each), (layer, each)) for each in layer.weights)  # the innermost comes last
    made = []
    for layer, kernel in owners.values():
        width = bits(layer, kernel) if kernel.name in (*NAMES, "depthwise_kernel") else None
        if width is not None:
            channels = channels_of(layer, kernel.name, len(kernel.shape))
            made.append((kernel, rounded(kernel.numpy(), width, channels=channels)))
    return made


def _compute(call: Call, known: dict[int, Any]) -> None:
    args, kwargs = replaced((call.args, call.kwargs), known)
    outputs = keras.tree.flatten(call.operation(*args, **kwargs))
    known.update((id(tensor), value) for tensor, value in zip(call.outputs, outputs))


def _linear_means(call: Call, known: dict[int, Any]) -> np.ndarray:
    """The mean of each channel before the activation, in float64."""
    args, kwargs = replaced((call.args, call.kwargs), known)
    layer = call.operation
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        outputs = keras.ops.convert_to_numpy(layer(*args, **kwargs)).astype("float64")
    finally:
        layer.activation = activation
    return np.moveaxis(outputs, _channel_axis(layer), -1).reshape(-1, outputs.shape[_channel_axis(layer)]).mean(axis=0)


def _channel_axis(layer: Any) -> int:
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


@contextlib.contextmanager
def _assigned(values: Sequence[Assignment]) -> Iterator[None]:
    """Gives variables other values within a block."""
    before = [(variable, variable.numpy()) for variable, _ in values]
    try:
        for variable, value in values:
            variable.assign(value)
        yield
    finally:
        for variable, value in before:
            variable.assign(value)
