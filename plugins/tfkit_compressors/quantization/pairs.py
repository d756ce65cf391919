"""Pairs of layers between which the scale of each channel is free: what one divides by, the next multiplies by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfkit.graph import Call, Graph, flattened

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TYPES = (keras.layers.Dense, *_CONVOLUTIONS, *_DEPTHWISE)
# Functions f with f(s x) = s f(x) for every s > 0; a layer's own activation is one of the first.
_ACTIVATIONS = (keras.activations.linear, keras.activations.relu, keras.activations.leaky_relu)
# Layers for which that holds channel by channel.
_PASSED = (
    *(keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.Identity),
    *(keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D),
    *(keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.AveragePooling1D),
    *(keras.layers.AveragePooling2D, keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D),
    *(keras.layers.GlobalMaxPooling1D, keras.layers.GlobalMaxPooling2D, keras.layers.Flatten),
)


@dataclass(frozen=True)
class Pair:
    """Two layers and the normalization between them.

    Attributes:
        first: The layer that gives the channels.
        norm: The BatchNormalization after it, which a converter folds into it, or None.
        second: The layer that reads them.
    """

    first: Any
    norm: Any
    second: Any

    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """The largest magnitude of each channel's weights in the first kernel, folded, and in the second one."""
        kernel = self.first.kernel.numpy()
        first = np.abs(kernel.reshape(-1, self._channels)).max(axis=0)
        if self.norm is not None:
            deviation = np.sqrt(self.norm.moving_variance.numpy() + self.norm.epsilon)
            first = first * np.abs(self.norm.gamma.numpy()) / deviation
        return first, np.abs(self._incoming()).max(axis=(0, 2))

    def biases(self) -> np.ndarray:
        """The magnitude of what is added to each channel, by the bias or by the normalization."""
        if self.norm is not None:
            return np.abs(self.norm.beta.numpy()) if self.norm.center else np.zeros(self._channels)
        return np.abs(self.first.bias.numpy()) if self.first.use_bias else np.zeros(self._channels)

    def rescale(self, scales: np.ndarray) -> None:
        """Divides the channels that the first gives by scales, and multiplies what the second makes of them."""
        for variable in self._outgoing():
            value = variable.numpy()
            variable.assign((value.reshape(-1, self._channels) / scales).reshape(value.shape))
        kernel = self.second.kernel
        kernel.assign((self._incoming() * scales[:, None]).reshape(kernel.shape))

    @property
    def _channels(self) -> int:
        kernel = self.first.kernel.shape
        return int(kernel[-2] * kernel[-1] if isinstance(self.first, _DEPTHWISE) else kernel[-1])

    def _outgoing(self) -> list[keras.Variable]:
        """What the channels are proportional to: a normalization undoes whatever is done before it."""
        if self.norm is not None:
            return [self.norm.gamma] + ([self.norm.beta] if self.norm.center else [])
        return [self.first.kernel] + ([self.first.bias] if self.first.use_bias else [])

    def _incoming(self) -> np.ndarray:
        """The second kernel as (whatever comes before, channels, outputs); flattened channels come in turns."""
        kernel = self.second.kernel.numpy()
        return kernel.reshape(-1, self._channels, kernel.shape[-1])


def pairs(model: Any) -> list[Pair]:
    """The pairs of a model, nested models included, in the order in which they run.

    Left out are layers that are called more than once or whose output goes to several places, activations for
    which scale is not free, such as ReLU6, and normalizations without gamma.

    Args:
        model: A built Functional or Sequential model.

    Raises:
        ModelError: It is not built, or is a subclassed model.
    """
    graph = flattened(model)
    times = Counter(id(call.operation) for call in graph.calls)
    found = (_pair(call, graph) for call in graph.calls if _may_begin(call.operation))
    return [pair for pair in found if pair and all(times[id(each)] == 1 for each in vars(pair).values() if each)]


def _after(call: Call, graph: Graph) -> Iterator[Call]:
    """The calls that follow in a line, up to a fork, a joint or an output of the model."""
    while len(call.outputs) == 1 and call.outputs[0] not in graph.outputs:
        readers = graph.readers[call.outputs[0]]
        if len(readers) != 1 or len(readers[0].inputs) != 1:
            return
        call = readers[0]
        yield call


def _pair(call: Call, graph: Graph) -> Pair | None:
    first, norm, is_linear = call.operation, None, call.operation.activation is keras.activations.linear
    for each in _after(call, graph):
        layer = each.operation
        if type(layer) in _TYPES:
            return Pair(first, norm, layer) if _may_end(layer, each) else None
        if type(layer) is keras.layers.BatchNormalization:
            if (
                norm is not None
                or not is_linear
                or not layer.scale
                or layer.axis not in (-1, len(each.outputs[0].shape) - 1)
            ):
                return None
            norm = layer
        elif not _is_passed(layer):
            return None
        else:
            is_linear = is_linear and isinstance(layer, (keras.layers.Dropout, keras.layers.Identity))
    return None


def _may_begin(layer: Any) -> bool:
    return type(layer) in _TYPES and layer.activation in _ACTIVATIONS and _is_plain(layer)


def _may_end(layer: Any, call: Call) -> bool:
    return _is_plain(layer) and (
        isinstance(layer, keras.layers.Dense) or len(layer.kernel.shape) == len(call.inputs[0].shape)
    )


def _is_plain(layer: Any) -> bool:
    return (
        getattr(layer, "groups", 1) == 1
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        and not getattr(layer, "quantization_mode", None)
    )


def _is_passed(layer: Any) -> bool:
    if type(layer) is keras.layers.ReLU:
        return layer.max_value is None and not layer.threshold
    if type(layer) is keras.layers.Activation:
        return layer.activation in _ACTIVATIONS
    return type(layer) in _PASSED and getattr(layer, "data_format", "channels_last") in (None, "channels_last")
