"""How channels go through layers with kernels, and through what holds a weight for each channel."""

from __future__ import annotations

import keras
import numpy as np

from tfkit.graph import Call
from tfkit_compressors.shrinking.channels import Labels
from tfkit_compressors.shrinking.elementwise import is_elementwise
from tfkit_compressors.shrinking.trace import Rule, Trace, frozen, told

Found = list[Labels | None]


def dense(trace: Trace, call: Call, inputs: Found) -> Found:
    """Reads the last axis, makes units."""
    (labels,), layer = inputs, call.operation
    last = len(call.inputs[0].shape) - 1
    if labels is None or labels.axis != last:
        return frozen(trace, call, inputs, f"{told(layer)} keeps it apart from the axis that it reads")
    takes(trace, call, layer.kernel, 0, labels)
    made = _made(trace, call, layer.units)
    trace.cut(layer.kernel, 1, made, "makes")
    trace.size(layer, "units", made)
    return [Labels(last, made)]


def convolution(trace: Trace, call: Call, inputs: Found) -> Found:
    """Reads channels, makes filters; of as many groups as channels it is depthwise."""
    (labels,), layer = inputs, call.operation
    if labels is not None and layer.groups == len(labels.channels) > 1 and labels.axis == channel_axis(layer, call):
        return _grouped(trace, call, labels)
    if layer.groups > 1:
        return frozen(trace, call, inputs, f"{told(layer)} has {layer.groups} groups of channels")
    return _filters(trace, call, inputs, -2, -1)


def transposed(trace: Trace, call: Call, inputs: Found) -> Found:
    """A convolution whose kernel holds filters before channels."""
    return _filters(trace, call, inputs, -1, -2)


def depthwise(trace: Trace, call: Call, inputs: Found) -> Found:
    """Each channel by itself, to one or several."""
    (labels,), layer = inputs, call.operation
    axis = channel_axis(layer, call)
    if labels is None or labels.axis != axis:
        return frozen(trace, call, inputs, f"{told(layer)} slides along it")
    trace.cut(layer.kernel, -2, labels.channels, "carries")
    return [Labels(axis, _carried(trace, call, labels.channels, layer.depth_multiplier))]


def separable(trace: Trace, call: Call, inputs: Found) -> Found:
    """A depthwise convolution, then one of 1 pixel."""
    (labels,), layer = inputs, call.operation
    axis = channel_axis(layer, call)
    if labels is None or labels.axis != axis:
        return frozen(trace, call, inputs, f"{told(layer)} slides along it")
    trace.cut(layer.depthwise_kernel, -2, labels.channels, "carries")
    takes(trace, call, layer.pointwise_kernel, -2, Labels(axis, np.repeat(labels.channels, layer.depth_multiplier)))
    made = _made(trace, call, layer.filters)
    trace.cut(layer.pointwise_kernel, -1, made, "makes")
    trace.size(layer, "filters", made)
    return [Labels(axis, made)]


def batch_normalization(trace: Trace, call: Call, inputs: Found) -> Found:
    """A scale, an offset, a mean and a variance for each channel."""
    labels, layer = inputs[0], call.operation
    if labels is None or labels.axis != layer.axis % len(call.inputs[0].shape):
        return frozen(trace, call, inputs, f"{told(layer)} normalizes another axis")
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        trace.cut(getattr(layer, name), 0, labels.channels, "carries")
    return [labels]


def prelu(trace: Trace, call: Call, inputs: Found) -> Found:
    """A slope for each channel, or one that axes share."""
    (labels,), layer = inputs, call.operation
    if labels is None:
        return [None]
    if layer.alpha.shape[labels.axis - 1] == len(labels.channels):
        trace.cut(layer.alpha, labels.axis - 1, labels.channels, "carries")
    return [labels]


def embedding(trace: Trace, call: Call, inputs: Found) -> Found:
    """A row of values for each id; reads no channel."""
    layer = call.operation
    made = _made(trace, call, layer.output_dim)
    trace.cut(layer.embeddings, 1, made, "makes")
    trace.size(layer, "output_dim", made)
    return [Labels(len(call.outputs[0].shape) - 1, made)]


def takes(trace: Trace, call: Call, variable: keras.Variable, axis: int, labels: Labels, position: int = 0) -> None:
    """Notes that a weight reads the channels of one of the call's inputs."""
    trace.cut(variable, axis, labels.channels, "takes")
    trace.read.append(call.inputs[position])


def channel_axis(layer: keras.layers.Layer, call: Call) -> int:
    """The axis of channels in a layer's input."""
    return 1 if layer.data_format == "channels_first" else len(call.inputs[0].shape) - 1


def _made(trace: Trace, call: Call, count: int) -> np.ndarray:
    layer = call.operation
    made = trace.makes(layer, count)
    trace.cut(getattr(layer, "bias", None), 0, made, "makes")
    _check_activation(trace, call, made)
    return made


def _filters(trace: Trace, call: Call, inputs: Found, reads: int, makes: int) -> Found:
    (labels,), layer = inputs, call.operation
    if labels is None or labels.axis != channel_axis(layer, call):
        return frozen(trace, call, inputs, f"{told(layer)} slides along it")
    takes(trace, call, layer.kernel, reads, labels)
    made = _made(trace, call, layer.filters)
    trace.cut(layer.kernel, makes, made, "makes")
    trace.size(layer, "filters", made)
    return [Labels(labels.axis, made)]


def _carried(trace: Trace, call: Call, channels: np.ndarray, multiplier: int) -> np.ndarray:
    """Several channels of one: they go where it goes."""
    carried: np.ndarray = np.repeat(channels, multiplier)
    trace.cut(call.operation.bias, 0, carried, "carries")
    _check_activation(trace, call, carried)
    return carried


def _grouped(trace: Trace, call: Call, labels: Labels) -> Found:
    layer = call.operation
    carried = _carried(trace, call, labels.channels, layer.filters // layer.groups)
    trace.cut(layer.kernel, -1, carried, "carries")
    trace.size(layer, "filters", carried)
    trace.size(layer, "groups", labels.channels)
    return [Labels(labels.axis, carried)]


def _check_activation(trace: Trace, call: Call, channels: np.ndarray) -> None:
    activation = getattr(call.operation, "activation", None)
    if not is_elementwise(activation):
        name = getattr(activation, "__name__", type(activation).__name__)
        trace.stays(channels, f"{told(call.operation)} mixes channels by {name}")


RULES: dict[str, Rule] = {
    "layers.Dense": dense,
    **{f"layers.Conv{rank}D": convolution for rank in (1, 2, 3)},
    **{f"layers.Conv{rank}DTranspose": transposed for rank in (1, 2, 3)},
    **{f"layers.DepthwiseConv{rank}D": depthwise for rank in (1, 2)},
    **{f"layers.SeparableConv{rank}D": separable for rank in (1, 2)},
    "layers.BatchNormalization": batch_normalization,
    "layers.PReLU": prelu,
    "layers.Embedding": embedding,
}
