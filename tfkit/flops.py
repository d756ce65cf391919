"""flops: what a model computes for one row, counted from its graph."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tfkit.errors import ModelError
from tfkit.graph import Call, Graph, flattened, keras_type
from tfkit.products import PRODUCTS, Shape, ShapeOf, product_of

Rule = Callable[[Any, list[Shape], Shape, ShapeOf], int]


def flops(model: Any) -> int:
    """Floating-point operations for one row: two for each multiply-add of a kernel or of an attention.

    Counted are dense, convolution, recurrent, attention and matrix-product operations. Additions of biases,
    activations, normalizations and pooling are left out, as is usual: they are a small part.

    Args:
        model: A built Functional or Sequential model.

    Returns:
        The number; twice the multiply-adds ("MACs").

    Raises:
        ModelError: The model is subclassed, holds a layer with kernels or an operation of many products that
            tfkit has no count for, or the count depends on a length that varies; the text says which.

    Example:
        >>> import keras
        >>> flops(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, padding="same")]))
        13824
    """
    return flops_of(flattened(model), lambda each: each.shape)


def flops_of(graph: Graph, shape: ShapeOf) -> int:
    """What `flops` counts, for sizes that a model does not have yet.

    Args:
        graph: The model's graph.
        shape: Gives the shape of a tensor of the graph, batch first, or of a weight.

    Raises:
        ModelError: As for `flops`.
    """
    return 2 * sum(_macs_of(call, shape) for call in graph.calls)


def _macs_of(call: Call, shape: ShapeOf) -> int:
    inputs = [shape(each)[1:] for each in _read(call)]
    output = shape(call.outputs[0])[1:]
    if keras_type(call.operation) in PRODUCTS:
        return _known(call.operation, inputs, lambda: product_of(call, output, shape))
    return _macs(call.operation, inputs, output, shape)


def _read(call: Call) -> tuple[Any, ...]:
    """The tensors that a call multiplies: of attention by their names, whatever their order, and no mask."""
    if keras_type(call.operation) in _ATTENTION:
        return call.arguments["query"], call.arguments["value"]
    return call.inputs


def _macs(operation: Any, inputs: list[Any], output: Any, shape: ShapeOf) -> int:
    """Multiply-adds of one call; shapes without the batch."""
    rule = _RULES.get(keras_type(operation))
    if rule is None:
        _check_countless(operation)
        return 0
    return _known(operation, inputs, lambda: rule(operation, inputs, output, shape))


def _known(operation: Any, inputs: list[Any], count: Callable[[], int]) -> int:
    """A count, unless a length that it depends on is not known."""
    try:
        return count()
    except TypeError:  # None in a product
        raise ModelError(
            f"the operations of {operation.name!r} ({type(operation).__name__}) depend on a length that varies: "
            f"its input is {inputs[0]}; give the model's Input a shape without None"
        ) from None


def _check_countless(operation: Any) -> None:
    """Lets pass what multiplies no matrices."""
    text = f"tfkit has no count of operations for {operation.name!r} ({type(operation).__name__})"
    if keras_type(operation) in _UNCOUNTED:
        raise ModelError(f"{text}, which multiplies matrices; where there is a layer for it, that is counted")
    variables = getattr(operation, "trainable_variables", ())
    if keras_type(operation) not in _FREE and any(len(each.shape) > 1 for each in variables):
        raise ModelError(f"{text}, which has kernels of its own")


def _dense(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    return prod(inputs[0]) * output[-1]


def _convolution(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    """The kernel once for each output position; a depthwise one too."""
    return prod(_positions(layer, output)) * prod(shape(layer.kernel))


def _transposed(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    return prod(_positions(layer, inputs[0])) * prod(shape(layer.kernel))


def _separable(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    kernels = prod(shape(layer.depthwise_kernel)) + prod(shape(layer.pointwise_kernel))
    return prod(_positions(layer, output)) * kernels


def _positions(layer: Any, shape: Shape) -> Shape:
    return shape[1:] if layer.data_format == "channels_first" else shape[:-1]


def _recurrent(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    return inputs[0][0] * (prod(shape(layer.cell.kernel)) + prod(shape(layer.cell.recurrent_kernel)))


def _bidirectional(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    return sum(_macs(each, inputs, output, shape) for each in (layer.forward_layer, layer.backward_layer))


def _time_distributed(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    return inputs[0][0] * _macs(layer.layer, [each[1:] for each in inputs], output[1:], shape)


def _multi_head(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    """Four projections, the scores and their product with the values."""
    kernels = {each.path.split("/")[-2]: shape(each) for each in layer.weights if each.name == "kernel"}
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    queries, keys = prod(query[:-1]), prod(value[:-1])
    projections = queries * prod(kernels["query"]) + keys * (prod(kernels["key"]) + prod(kernels["value"]))
    sizes = prod(kernels["query"][1:]) + prod(kernels["attention_output"][:-1])
    return projections + queries * keys * sizes + queries * prod(kernels["attention_output"])


def _attention(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    return query[0] * value[0] * (query[-1] + value[-1])


def _einsum_dense(layer: Any, inputs: list[Shape], output: Shape, shape: ShapeOf) -> int:
    """The product of the lengths of all indices; the batch is the first and counts once."""
    given, kernel = layer.equation.partition("->")[0].split(",")
    lengths = dict(zip(reversed(given.lstrip(".")), reversed(inputs[0])))
    lengths |= dict(zip(kernel, shape(layer.kernel)))
    if "." in given:
        lengths["..."] = prod(inputs[0][: len(inputs[0]) - len(given.lstrip("."))])
    elif given[0] not in kernel:
        lengths[given[0]] = 1
    return prod(lengths.values())


_ATTENTION = ("layers.MultiHeadAttention", "layers.GroupedQueryAttention")
_RULES: dict[str, Rule] = {
    "layers.Dense": _dense,
    "layers.EinsumDense": _einsum_dense,
    **{f"layers.{kind}Conv{rank}D": _convolution for kind in ("", "Depthwise") for rank in (1, 2, 3)},
    **{f"layers.Conv{rank}DTranspose": _transposed for rank in (1, 2, 3)},
    **{f"layers.SeparableConv{rank}D": _separable for rank in (1, 2)},
    **{f"layers.{kind}": _recurrent for kind in ("LSTM", "GRU", "SimpleRNN")},
    "layers.Bidirectional": _bidirectional,
    "layers.TimeDistributed": _time_distributed,
    **dict.fromkeys(_ATTENTION, _multi_head),
    "layers.Attention": _attention,
    "layers.AdditiveAttention": _attention,
}
# They have a matrix of weights, and multiply nothing by it.
_FREE = {"layers.Embedding", "layers.PReLU", "layers.LayerNormalization"}
# Operations of many products whose layers alone are counted.
_UNCOUNTED = {
    *("ops.Conv", "ops.DepthwiseConv", "ops.SeparableConv", "ops.ConvTranspose", "ops.DotProductAttention"),
    *("ops.Vdot", "ops.Correlate", "ops.CDist", "ops.Solve", "ops.SolveTriangular", "ops.Lstsq", "ops.Inv"),
    *("ops.Pinv", "ops.Cholesky", "ops.CholeskyInverse", "ops.LuFactor", "ops.Qr", "ops.SVD", "ops.Eig", "ops.Eigh"),
    *("ops.FFT", "ops.FFT2", "ops.IFFT2", "ops.RFFT", "ops.IRFFT", "ops.STFT", "ops.ISTFT"),
}
