"""Residual additions of a model: which of the two summands is the branch, and which the shortcut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from tfkit.graph import Graph, Tensor, flattened, keras_type
from tfkit_callbacks.noise.inserted import positions


@dataclass(frozen=True)
class Residual:
    """A residual addition.

    Attributes:
        operation: The layer or operation that adds.
        which: The number of the branch among its inputs.
        branch: What the branch gives.
    """

    operation: Any
    which: int
    branch: Tensor


def residuals(model: Any) -> tuple[list[Residual], list[str]]:
    """The residual additions of a model, in their order, and the names of its other additions.

    A shortcut is what its branch began from, or comes from there through fewer layers with a kernel, one at most (a
    projection), where the branch has one at least.

    Args:
        model: A built Functional or Sequential model.

    Raises:
        ModelError: The model is not built, or is a subclassed model.

    Example:
        >>> x = keras.Input((2,))
        >>> model = keras.Model(x, keras.layers.Add(name="sum")([keras.layers.Dense(2)(x), x]))
        >>> [(each.operation.name, each.which) for each in residuals(model)[0]]
        [('sum', 0)]
    """
    graph = flattened(model)
    found: dict[int, Residual] = {}
    others: list[str] = []
    for call in graph.calls:
        if keras_type(call.operation) not in ("layers.Add", "ops.Add") or len(call.inputs) != 2:
            continue
        branch = _branch(graph, *call.inputs)
        if branch is None:
            others.append(call.operation.name)
        elif id(call.operation) not in found:
            (which,) = positions(call.args, [branch])
            found[id(call.operation)] = Residual(call.operation, which, branch)
    return list(found.values()), others


def _branch(graph: Graph, one: Tensor, other: Tensor) -> Tensor | None:
    """The one of two summands that is a branch, if the other is its shortcut."""
    if one is other or one.shape[1:] != other.shape[1:]:
        return None
    from_one, from_other = _origins(graph, one), _origins(graph, other)
    if from_one.isdisjoint(from_other):
        return None
    alone_one, alone_other = _kernels(graph, from_one - from_other), _kernels(graph, from_other - from_one)
    if min(alone_one, alone_other) > 1 or alone_one == alone_other:
        return None
    return one if alone_one > alone_other else other


def _origins(graph: Graph, tensor: Tensor) -> set[Tensor]:
    """A tensor and all that it comes from."""
    found: set[Tensor] = set()
    waiting = [tensor]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += graph.makers[each].inputs if each in graph.makers else ()
    return found


def _kernels(graph: Graph, tensors: set[Tensor]) -> int:
    """How many layers with a kernel give some of these tensors."""
    operations = {id(call): call.operation for call in (graph.makers.get(each) for each in tensors) if call is not None}
    return sum(_has_kernel(each) for each in operations.values())


def _has_kernel(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer) and any(len(each.shape) > 1 for each in operation.weights)
