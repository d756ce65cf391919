"""How channels go through what moves, joins, pools and reshapes tensors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfkit.graph import Call
from tfkit_compressors.shrinking.channels import Labels
from tfkit_compressors.shrinking.trace import Rule, Trace, frozen, named, told
from tfkit_compressors.shrinking.weighted import Found, channel_axis

# Stands in for lengths that vary while positions are moved; no two axes get the same.
_VARYING = (2, 3, 5, 7, 11, 13)


def keeps_channels(trace: Trace, call: Call, inputs: Found) -> Found:
    """Pools, pads, crops or repeats along the other axes."""
    (labels,) = inputs
    axis = channel_axis(call.operation, call) if hasattr(call.operation, "data_format") else _last(call)
    if labels is None or labels.axis != axis:
        return frozen(trace, call, inputs, f"{told(call.operation)} works along it")
    (output,) = call.outputs
    return [Labels(min(axis, len(output.shape) - 1), labels.channels)]


def per_channel(trace: Trace, call: Call, inputs: Found) -> Found:
    """A layer with one scale for all channels, or with one for each, which cannot be cut."""
    if all(np.ndim(getattr(call.operation, name)) == 0 for name in ("scale", "offset")):
        return inputs
    return frozen(trace, call, inputs, f"{told(call.operation)} holds constants for each channel")


def mixes(trace: Trace, call: Call, inputs: Found) -> Found:
    """Normalizes over channels: without some of them the others would get other values."""
    return frozen(trace, call, inputs, f"{told(call.operation)} mixes channels")


def along_axis(trace: Trace, call: Call, inputs: Found) -> Found:
    """Softmax and the like: through, where the axis is not that of the channels."""
    labels, axes = inputs[0], call.operation.axis
    axes = axes if isinstance(axes, (tuple, list)) else (axes,)
    if labels is None or None in axes or labels.axis in [axis % len(call.inputs[0].shape) for axis in axes]:
        return mixes(trace, call, inputs)
    return [labels]


def reduces(trace: Trace, call: Call, inputs: Found) -> Found:
    """A mean, sum or largest value over other axes than that of the channels."""
    labels, axes, rank = inputs[0], call.operation.axis, len(call.inputs[0].shape)
    if axes is None or labels is None:
        return mixes(trace, call, inputs)
    gone = {axis % rank for axis in (axes if isinstance(axes, (tuple, list)) else (axes,))}
    if labels.axis in gone:
        return mixes(trace, call, inputs)
    before = 0 if call.operation.keepdims else sum(axis < labels.axis for axis in gone)
    return [Labels(labels.axis - before, labels.channels)]


def concatenates(trace: Trace, call: Call, inputs: Found) -> Found:
    """Channels side by side, or, along another axis, tied."""
    axis = call.operation.axis % len(call.outputs[0].shape)
    known = [each for each in inputs if each is not None]
    if len(known) != len(inputs) or len({each.axis for each in known}) != 1:
        return frozen(trace, call, inputs, f"{told(call.operation)} joins channels along different axes")
    if known[0].axis == axis:
        return [Labels(axis, np.concatenate([each.channels for each in known]))]
    for other in known[1:]:
        trace.channels.tie(known[0].channels, other.channels)
    return [known[0]]


def moves(trace: Trace, call: Call, inputs: Found) -> Found:
    """Transposes, squeezes, slices: through, where every channel is still there, in its order."""
    found = _moved(call, inputs)
    if any(each is None or not np.array_equal(each.channels, inputs[0].channels) for each in found):  # type: ignore[union-attr]
        return frozen(trace, call, inputs, f"{told(call.operation)} takes channels apart")
    return found


def reshapes(trace: Trace, call: Call, inputs: Found) -> Found:
    """Flatten and Reshape: through, where an axis of the result tells channels apart and no other does."""
    (found,) = _moved(call, inputs)
    if found is None:
        return frozen(trace, call, inputs, f"{told(call.operation)} spreads channels over several axes")
    for entry, first in (("target_shape", 1), ("newshape", 0)):
        lengths = getattr(call.operation, entry, None)
        if lengths is not None and lengths[found.axis - first] != -1:
            trace.size(call.operation, (entry, found.axis - first), found.channels)
    return [found]


def _moved(call: Call, inputs: Found) -> Found:
    """Does to an array of channels what the call does to values, and reads the result's labels."""
    if len(call.inputs) != 1 or inputs[0] is None or sum(each is None for each in call.inputs[0].shape) > len(_VARYING):
        return [None] * len(call.outputs)
    laid_out = _laid_out(call.inputs[0], inputs[0])

    def fill(leaf: Any) -> Any:
        return keras.ops.convert_to_tensor(laid_out) if leaf is call.inputs[0] else leaf

    args, kwargs = keras.tree.map_structure(fill, (call.args, call.kwargs))
    try:
        results = keras.tree.flatten(call.operation.call(*args, **kwargs))
    except Exception:  # such as a position beyond the length that stands in for a varying one
        return [None] * len(call.outputs)
    return [_labels(np.asarray(each)) for each in results]


def _laid_out(tensor: Any, labels: Labels) -> np.ndarray:
    """An array of the tensor's shape that holds at each position its channel."""
    varying = iter(_VARYING)
    shape = [next(varying) if each is None else each for each in tensor.shape]
    along: np.ndarray = np.ones(len(shape), int)
    along[labels.axis] = -1
    return np.broadcast_to(labels.channels.astype("int32").reshape(along), shape)


def _labels(laid_out: np.ndarray) -> Labels | None:
    """The last axis along which the channels lie, if they differ along no other."""
    for axis in reversed(range(1, laid_out.ndim)):
        first = np.moveaxis(laid_out, axis, 0).reshape(laid_out.shape[axis], -1)
        if (first == first[:, :1]).all():
            return Labels(axis, first[:, 0].astype(np.int64))
    return None


def _last(call: Call) -> int:
    return len(call.inputs[0].shape) - 1


_BY_RANK = "MaxPooling AveragePooling GlobalMaxPooling GlobalAveragePooling UpSampling ZeroPadding Cropping"
_NORMALIZATIONS = "LayerNormalization GroupNormalization RMSNormalization UnitNormalization"
RULES: dict[str, Rule] = {
    **{f"layers.{kind}{rank}D": keeps_channels for kind in _BY_RANK.split() for rank in (1, 2, 3)},
    **{f"layers.SpatialDropout{rank}D": keeps_channels for rank in (1, 2, 3)},
    **named("layers", "Resizing", keeps_channels),
    **named("layers", "Rescaling", per_channel),
    **named("layers", _NORMALIZATIONS, mixes),
    **named("layers", "Softmax", along_axis),
    **named("ops", "Softmax LogSoftmax", along_axis),
    **named("ops", "Mean Sum Max Min Amax Amin Std Var", reduces),
    **named("layers", "Concatenate", concatenates),
    **named("ops", "Concatenate", concatenates),
    **named("layers", "Permute RepeatVector", moves),
    **named("ops", "Transpose Squeeze ExpandDims GetItem Swapaxes Moveaxis Flip", moves),
    **named("layers", "Flatten Reshape", reshapes),
    **named("ops", "Reshape Ravel Flatten", reshapes),
}
