"""How channels go through what works on each value by itself: activations, merges, operators."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfkit.graph import Call, keras_type
from tfkit_compressors.shrinking.channels import Labels
from tfkit_compressors.shrinking.trace import Rule, Trace, frozen, named, told

_ACTIVATIONS = (
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid mish relu "
    "relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus sparse_sigmoid squareplus tanh tanh_shrink "
    "threshold"
)
_ACTIVATION_LAYERS = "ELU LeakyReLU ReLU Identity"
_LAYERS = (
    f"{_ACTIVATION_LAYERS} Dropout GaussianDropout GaussianNoise AlphaDropout ActivityRegularization "
    "Add Subtract Multiply Average Maximum Minimum"
)
_OPERATIONS = (
    "Abs Absolute Add Arctan Cast Ceil Celu Clip Cos Cosh Divide DivideNoNan Elu Equal Erf Exp Expm1 Floor "
    "FloorDivide Gelu Greater GreaterEqual HardShrink HardSigmoid HardSilu HardTanh Identity LeakyRelu Less LessEqual "
    "Log Log1p LogSigmoid Maximum Minimum Mish Mod Multiply Negative NotEqual Power Reciprocal Relu Relu6 Round Rsqrt "
    "Selu Sigmoid Sign Silu Sin Sinh SoftShrink Softplus Softsign SparsePlus Sqrt Square Squareplus Subtract Tan Tanh "
    "TanhShrink Threshold TrueDivide Where"
)


def is_elementwise(activation: Any) -> bool:
    """Whether an activation, a function or a layer, works on each value by itself; unknown ones do not."""
    if activation is None or keras_type(activation) in named("layers", _ACTIVATION_LAYERS, merge):
        return True
    name = getattr(activation, "__name__", "")
    return name in _ACTIVATIONS.split() and getattr(keras.activations, name) is activation


def activation(trace: Trace, call: Call, inputs: list[Labels | None]) -> list[Labels | None]:
    """The layer Activation: through, unless the function mixes channels as softmax does."""
    if is_elementwise(call.operation.activation):
        return inputs
    name = getattr(call.operation.activation, "__name__", "its function")
    return frozen(trace, call, inputs, f"{told(call.operation)} mixes channels by {name}")


def merge(trace: Trace, call: Call, inputs: list[Labels | None]) -> list[Labels | None]:
    """One value or several, broadcast: channels that meet are tied."""
    (output,) = call.outputs
    rank = len(output.shape)
    constants = [each for each in keras.tree.flatten((call.args, call.kwargs)) if np.ndim(_known(each)) > 0]
    live = [(tensor, _aligned(labels, tensor, rank)) for tensor, labels in zip(call.inputs, inputs)]
    wide = [labels for tensor, labels in live if labels is not None and _spans(tensor, rank, labels.axis, output)]
    axes = {labels.axis for labels in wide}
    if len(axes) != 1:
        reason = f"{told(call.operation)} broadcasts channels along different axes"
        return frozen(trace, call, inputs, reason)
    (axis,) = axes
    for other in wide[1:]:
        trace.channels.tie(wide[0].channels, other.channels)
    for labels in inputs:  # one channel that is spread over all of them
        if labels is not None and len(labels.channels) != len(wide[0].channels):
            trace.stays(labels, f"{told(call.operation)} spreads it over other channels")
    met = [tensor for tensor, labels in live if labels is None and _spans(tensor, rank, axis, output)]
    if met or any(_spans(each, rank, axis, output) for each in constants):
        trace.stays(wide[0], f"{told(call.operation)} meets it with values that cannot shrink")
    return [wide[0]]


def _known(value: Any) -> Any:
    """Constants as they are; tensors of the graph, which numpy must not look into, as 0."""
    return value if hasattr(value, "shape") and hasattr(value, "__array__") else 0


def _aligned(labels: Labels | None, tensor: Any, rank: int) -> Labels | None:
    return None if labels is None else Labels(labels.axis + rank - len(tensor.shape), labels.channels)


def _spans(value: Any, rank: int, axis: int, output: Any) -> bool:
    """Whether a value has, along an axis of the output, a length of its own and not one that is spread."""
    own = axis - (rank - len(value.shape))
    return own >= 0 and (value.shape[own] != 1 or output.shape[axis] == 1)


RULES: dict[str, Rule] = {
    "layers.Activation": activation,
    **named("layers", _LAYERS, merge),
    **named("ops", _OPERATIONS, merge),
}
