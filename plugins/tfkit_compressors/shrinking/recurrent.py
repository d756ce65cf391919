"""How channels go through recurrent layers and wrappers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfkit.graph import Call, Tensor, keras_type
from tfkit_compressors.shrinking.channels import Labels
from tfkit_compressors.shrinking.elementwise import is_elementwise
from tfkit_compressors.shrinking.trace import Rule, Trace, frozen, told
from tfkit_compressors.shrinking.weighted import Found, takes

_GATES = {"layers.LSTM": 4, "layers.GRU": 3, "layers.SimpleRNN": 1}


def recurrent(trace: Trace, call: Call, inputs: Found) -> Found:
    """LSTM, GRU, SimpleRNN: a unit goes with its place in each gate and in each state."""
    if not _reads_last(call, inputs):
        return frozen(trace, call, inputs, f"{told(call.operation)} reads along it")
    return _cell(trace, call, call.operation, inputs)


def bidirectional(trace: Trace, call: Call, inputs: Found) -> Found:
    """A layer forwards and one backwards, of which as many units must stay."""
    layer = call.operation
    both = (layer.forward_layer, layer.backward_layer)
    if any(keras_type(each) not in _GATES for each in both) or len(call.inputs) != 1 or layer.return_state:
        return frozen(trace, call, inputs, f"{told(layer)} is not known to shrink")
    if not _reads_last(call, inputs):
        return frozen(trace, call, inputs, f"{told(layer)} reads along it")
    forward, backward = (_cell(trace, call, each, inputs)[0] for each in both)
    if layer.merge_mode in ("sum", "mul", "ave"):
        trace.channels.tie(forward.channels, backward.channels)
        return [forward]
    trace.alike.append((forward.channels, backward.channels))
    if layer.merge_mode is None:
        return [forward, backward]
    return [Labels(forward.axis, np.concatenate([forward.channels, backward.channels]))]


def time_distributed(rules: dict[str, Rule]) -> Rule:
    """The rule of the layer inside, on tensors without the axis of time.

    Args:
        rules: Where the rule of that layer is.
    """

    def rule(trace: Trace, call: Call, inputs: Found) -> Found:
        inner = rules.get(keras_type(call.operation.layer))
        (labels,) = inputs
        if inner is None or labels is None or labels.axis < 2 or len(call.outputs) != 1:
            return frozen(trace, call, inputs, f"{told(call.operation)} is not known to shrink")
        outputs = tuple(_in_time(each) for each in call.outputs)
        step = Call(call.operation.layer, tuple(_in_time(each) for each in call.inputs), {}, outputs)
        read = len(trace.read)
        (found,) = inner(trace, step, [Labels(labels.axis - 1, labels.channels)])
        trace.read[read:] = call.inputs[: len(trace.read) - read]
        return [None if found is None else Labels(found.axis + 1, found.channels)]

    return rule


def _reads_last(call: Call, inputs: Found) -> bool:
    """Whether the channels lie along the axis that a recurrent layer's kernel reads, the last one."""
    labels = inputs[0]
    return labels is not None and labels.axis == len(call.inputs[0].shape) - 1


def _cell(trace: Trace, call: Call, layer: Any, inputs: Found) -> list[Labels]:
    """The labels of what one recurrent layer gives; states that are handed in are tied to its units."""
    labels, *states = inputs
    assert labels is not None, "the caller has looked"
    cell, gates = layer.cell, _GATES[keras_type(layer)]
    made = trace.makes(layer, layer.units)
    takes(trace, call, cell.kernel, 0, labels)
    trace.cut(cell.kernel, 1, np.tile(made, gates), "makes")
    trace.cut(cell.recurrent_kernel, 0, made, "takes")
    trace.cut(cell.recurrent_kernel, 1, np.tile(made, gates), "makes")
    if cell.bias is not None:
        trace.cut(cell.bias, -1, np.tile(made, gates), "makes")
    trace.size(layer, "units", made)
    for state in states:
        _tie_state(trace, state, made)
    if not all(is_elementwise(getattr(layer, name, None)) for name in ("activation", "recurrent_activation")):
        trace.stays(made, f"{told(layer)} mixes units by its activation")
    return [Labels(len(each.shape) - 1, made) for each in call.outputs]


def _tie_state(trace: Trace, state: Labels | None, made: np.ndarray) -> None:
    if state is None or len(state.channels) != len(made):
        trace.stays(made, "it is handed a state that cannot shrink")
    else:
        trace.channels.tie(state.channels, made)


def _in_time(tensor: Tensor) -> Tensor:
    return Tensor((tensor.shape[0], *tensor.shape[2:]), tensor.dtype, tensor.origin)


RULES: dict[str, Rule] = {**dict.fromkeys(_GATES, recurrent), "layers.Bidirectional": bidirectional}
