"""Multiply-adds of operations that multiply tensors with each other: matmul, dot, tensordot, einsum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from tfkit.errors import ModelError
from tfkit.graph import Call, Tensor, keras_type

Shape = tuple[int, ...]
ShapeOf = Callable[[Any], Any]
# Of a call, the shape of its output without the batch, and the shapes of others, to multiply-adds.
Rule = Callable[[Call, Shape, ShapeOf], int]


def product_of(call: Call, output: Shape, shape: ShapeOf) -> int:
    """Multiply-adds of one call of an operation in `PRODUCTS`.

    Args:
        call: The call.
        output: The shape of its output, without the batch.
        shape: Gives the shape of a tensor of the graph, batch first.

    Raises:
        TypeError: A length varies.
        ModelError: An einsum of three operands or more, whose count depends on their order.

    Example:
        >>> import keras
        >>> from tfkit.graph import flattened
        >>> x = keras.Input((5, 8))
        >>> graph = flattened(keras.Model(x, keras.ops.einsum("bij,bkj->bik", x, x)))
        >>> product_of(graph.calls[0], (5, 5), lambda tensor: tensor.shape) == 5 * 5 * 8
        True
    """
    return PRODUCTS[keras_type(call.operation)](call, output, shape)


def _lengths(operand: Any, shape: ShapeOf) -> tuple[Any, ...]:
    """An operand's shape, None for its rows, which no product may sum over; that of a constant as it is."""
    import numpy as np

    return (None, *shape(operand)[1:]) if isinstance(operand, Tensor) else tuple(np.shape(operand))


def _last(call: Call, output: Shape, shape: ShapeOf) -> int:
    """The last axis of the first operand is summed over; a number scales and sums nothing."""
    first, second = (_lengths(call.arguments[name], shape) for name in ("x1", "x2"))
    return prod(output) * first[-1] if first and second else 0


def _tensordot(call: Call, output: Shape, shape: ShapeOf) -> int:
    first, axes = _lengths(call.arguments["x1"], shape), call.operation.axes
    if isinstance(axes, int):
        return prod(output) * prod(first[len(first) - axes :])
    return prod(output) * prod(first[axis] for axis in _listed(axes[0]))


def _dot_layer(call: Call, output: Shape, shape: ShapeOf) -> int:
    return prod(output) * _lengths(call.inputs[0], shape)[_listed(call.operation.axes)[0]]


def _einsum(call: Call, output: Shape, shape: ShapeOf) -> int:
    """The product of the lengths of all indices; of one operand nothing is multiplied."""
    operands = call.arguments["operands"]
    if len(operands) > 2:
        raise ModelError(
            f"tfkit has no count of operations for {call.operation.name!r} (Einsum) of {len(operands)} operands: "
            "multiply two at a time"
        )
    if len(operands) == 1:
        return 0
    lengths: dict[str, Any] = {}
    given, _, left = call.operation.subscripts.replace(" ", "").partition("->")
    for term, operand in zip(given.split(","), operands):
        indices = _indices(term, _lengths(operand, shape))
        if isinstance(operand, Tensor) and _stays(indices[0][0], left):
            indices[0] = (indices[0][0], 1)  # rows that stay rows count once
        for index, length in indices:
            lengths[index] = length if lengths.get(index, 1) == 1 else lengths[index]
    return prod(lengths.values())


def _stays(index: str, left: str) -> bool:
    return index in left if len(index) == 1 else "..." in left


def _indices(term: str, shape: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """The indices of an operand and their lengths; those of the dots are named by their place from the right."""
    before, _, after = term.partition("...")
    dots = [f"...{place}" for place in reversed(range(len(shape) - len(before) - len(after)))]
    return list(zip([*before, *dots, *after], shape, strict=True))


def _listed(axes: Any) -> Sequence[int]:
    return (axes,) if isinstance(axes, int) else axes


PRODUCTS: dict[str, Rule] = {
    "ops.Matmul": _last,
    "ops.Dot": _last,
    "ops.Inner": _last,
    "ops.Tensordot": _tensordot,
    "ops.Einsum": _einsum,
    "layers.Dot": _dot_layer,
}
