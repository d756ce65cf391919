"""flops: what a model computes for one row, counted from its graph."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tfkit.errors import ModelError
from tfkit.graph import flattened, keras_type

Shape = tuple[int, ...]
Rule = Callable[[Any, list[Shape], Shape], int]


def flops(model: Any) -> int:
    """Floating-point operations for one row: two for each multiply-add of a kernel or of an attention.

    Counted are dense, convolution, recurrent, attention and matrix-product operations. Additions of biases,
    activations, normalizations and pooling are left out, as is usual: they are a small part.

    Args:
        model: A built Functional or Sequential model.

    Returns:
        The number; twice the multiply-adds ("MACs").

    Raises:
        ModelError: The model is subclassed, holds a layer with kernels that tfkit has no count for, or the
            count depends on a length that varies; the text says which layer.

    Example:
        >>> import keras
        >>> flops(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, padding="same")]))
        13824
    """
    return 2 * sum(
        _macs(call.operation, [each.shape[1:] for each in call.inputs], call.outputs[0].shape[1:])
        for call in flattened(model).calls
    )


def _macs(operation: Any, inputs: list[Any], output: Any) -> int:
    """Multiply-adds of one call; shapes without the batch."""
    rule = _RULES.get(keras_type(operation))
    if rule is None:
        _check_no_kernels(operation)
        return 0
    try:
        return rule(operation, inputs, output)
    except TypeError:  # None in a product
        raise ModelError(
            f"the operations of {operation.name!r} ({type(operation).__name__}) depend on a length that varies: "
            f"its input is {inputs[0]}; give the model's Input a shape without None"
        ) from None


def _check_no_kernels(operation: Any) -> None:
    variables = getattr(operation, "trainable_variables", ())
    if keras_type(operation) not in _FREE and any(len(each.shape) > 1 for each in variables):
        raise ModelError(
            f"tfkit has no count of operations for {operation.name!r} ({type(operation).__name__}), which has "
            "kernels of its own"
        )


def _dense(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return prod(inputs[0]) * output[-1]


def _convolution(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """The kernel once for each output position; a depthwise one too."""
    return prod(_positions(layer, output)) * prod(layer.kernel.shape)


def _transposed(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return prod(_positions(layer, inputs[0])) * prod(layer.kernel.shape)


def _separable(layer: Any, inputs: list[Shape], output: Shape) -> int:
    kernels = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
    return prod(_positions(layer, output)) * kernels


def _positions(layer: Any, shape: Shape) -> Shape:
    return shape[1:] if layer.data_format == "channels_first" else shape[:-1]


def _recurrent(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return inputs[0][0] * (prod(layer.cell.kernel.shape) + prod(layer.cell.recurrent_kernel.shape))


def _bidirectional(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return sum(_macs(each, inputs, output) for each in (layer.forward_layer, layer.backward_layer))


def _time_distributed(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return inputs[0][0] * _macs(layer.layer, [each[1:] for each in inputs], output[1:])


def _multi_head(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """Four projections, the scores and their product with the values."""
    kernels = {each.path.split("/")[-2]: each.shape for each in layer.weights if each.name == "kernel"}
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    queries, keys = prod(query[:-1]), prod(value[:-1])
    projections = queries * prod(kernels["query"]) + keys * (prod(kernels["key"]) + prod(kernels["value"]))
    sizes = prod(kernels["query"][1:]) + prod(kernels["attention_output"][:-1])
    return projections + queries * keys * sizes + queries * prod(kernels["attention_output"])


def _attention(layer: Any, inputs: list[Shape], output: Shape) -> int:
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    return query[0] * value[0] * (query[-1] + value[-1])


def _einsum_dense(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """The product of the lengths of all indices; the batch is the first and counts once."""
    given, kernel = layer.equation.partition("->")[0].split(",")
    lengths = dict(zip(reversed(given.lstrip(".")), reversed(inputs[0])))
    lengths |= dict(zip(kernel, layer.kernel.shape))
    if "." in given:
        lengths["..."] = prod(inputs[0][: len(inputs[0]) - len(given.lstrip("."))])
    elif given[0] not in kernel:
        lengths[given[0]] = 1
    return prod(lengths.values())


def _matmul(operation: Any, inputs: list[Shape], output: Shape) -> int:
    return prod(output) * inputs[0][-1]


_RULES: dict[str, Rule] = {
    "layers.Dense": _dense,
    "layers.EinsumDense": _einsum_dense,
    **{f"layers.{kind}Conv{rank}D": _convolution for kind in ("", "Depthwise") for rank in (1, 2, 3)},
    **{f"layers.Conv{rank}DTranspose": _transposed for rank in (1, 2, 3)},
    **{f"layers.SeparableConv{rank}D": _separable for rank in (1, 2)},
    **{f"layers.{kind}": _recurrent for kind in ("LSTM", "GRU", "SimpleRNN")},
    "layers.Bidirectional": _bidirectional,
    "layers.TimeDistributed": _time_distributed,
    "layers.MultiHeadAttention": _multi_head,
    "layers.GroupedQueryAttention": _multi_head,
    "layers.Attention": _attention,
    "layers.AdditiveAttention": _attention,
    "ops.Matmul": _matmul,
}
# They have a matrix of weights, and multiply nothing by it.
_FREE = {"layers.Embedding", "layers.PReLU", "layers.LayerNormalization"}
