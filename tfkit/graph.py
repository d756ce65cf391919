"""The graph of a Functional or Sequential model: its calls of operations, in an order that can be run.

The one place that reads Keras's private record of a graph (`_functional`, `_nodes_by_depth`, `_keras_history`).
`tfkit.replay` runs graphs and builds them anew.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfkit.errors import ModelError
from tfkit.models import require_built


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor in a graph; each call of a nested model has its own, though Keras shares them.

    Attributes:
        shape: Its shape, batch first, None for lengths that vary.
        dtype: Its dtype, such as "float32".
        origin: The KerasTensor that it stands for.
    """

    shape: tuple[int | None, ...]
    dtype: str
    origin: Any


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation.

    Attributes:
        operation: The layer or other `keras.Operation`; the same one in each call of a shared layer.
        args: Its positional arguments, tensors of the graph in their places.
        kwargs: Its keyword arguments, likewise.
        outputs: The tensors that it gives, flat.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Any, ...]

    @cached_property
    def inputs(self) -> tuple[Any, ...]:
        """The tensors among its arguments, flat."""
        return tuple(_tensors((self.args, self.kwargs)))

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Its arguments by the names of the operation's `call`; those left out are missing."""
        return dict(inspect.signature(self.operation.call).bind(*self.args, **self.kwargs).arguments)


@dataclass(frozen=True)
class Graph:
    """A model's graph, nested models taken apart.

    Attributes:
        inputs: The model's inputs, flat, in Keras's order.
        calls: The calls, each after those that it reads from.
        outputs: The model's outputs, flat.
        entries: For each call of a nested model, pairs of its own input, a KerasTensor, and what is handed in.
    """

    inputs: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Tensor, ...]
    entries: tuple[tuple[Any, Tensor], ...]

    @cached_property
    def makers(self) -> dict[Tensor, Call]:
        """The call that gives each tensor; the model's inputs have none."""
        return {tensor: call for call in self.calls for tensor in call.outputs}

    @cached_property
    def readers(self) -> dict[Tensor, list[Call]]:
        """The calls that read each tensor, in their order; none where it only leaves the model."""
        found: dict[Tensor, list[Call]] = {each: [] for each in (*self.inputs, *self.makers)}
        for call in self.calls:
            for tensor in dict.fromkeys(call.inputs):
                found[tensor].append(call)
        return found

    def last(self, is_wanted: Callable[[Call], bool]) -> list[Call]:
        """The calls of a kind after which none of that kind follows, on any of the ways to the model's outputs.

        Example:
            >>> import keras
            >>> layers = [keras.layers.Dense(3, name="hidden"), keras.layers.Dense(1, name="out"), keras.layers.ReLU()]
            >>> graph = flattened(keras.Sequential([keras.Input((2,)), *layers]))
            >>> [call.operation.name for call in graph.last(lambda call: hasattr(call.operation, "kernel"))]
            ['out']
        """
        waiting, seen, found = list(self.outputs), set(), []
        while waiting:
            call = self.makers.get(waiting.pop())
            if call is None or call in seen:
                continue
            seen.add(call)
            if is_wanted(call):
                found.append(call)
            else:
                waiting += call.inputs
        return found


def has_graph(model: Any) -> bool:
    """Whether it is a Functional or Sequential model with a graph: nested ones are, subclassed models are not.

    Example:
        >>> import keras
        >>> has_graph(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
        True
        >>> has_graph(keras.layers.Dense(1))
        False
    """
    import keras

    return isinstance(model, keras.Model) and hasattr(functional(model), "_nodes_by_depth")


def require_graph(model: Any) -> Any:
    """Returns the model if it is built and has a graph.

    Raises:
        ModelError: It is not built, or it is a subclassed model, whose `call` hides its graph.
    """
    if has_graph(require_built(model)):
        return model
    raise ModelError(
        f"model {model.name!r} is a subclassed model ({type(model).__name__}), whose graph Keras does not know: "
        "build it as a Functional model, keras.Model(inputs, outputs)"
    )


def keras_type(operation: Any) -> str:
    """What an operation is called in Keras's own API, such as "layers.Dense" or "ops.Add"; empty for others.

    A subclass of a Keras layer may compute something else, and is not called by its base's name.

    Example:
        >>> import keras
        >>> keras_type(keras.layers.Dense(1))
        'layers.Dense'
    """
    kind = type(operation)
    for part in ("layers", "ops"):
        if kind.__module__.startswith(f"keras.src.{part}."):
            return f"{part}.{kind.__name__}"
    return ""


def calls(model: Any) -> tuple[Call, ...]:
    """The calls of a model's own level, on Keras's own tensors; a nested model is one call.

    Args:
        model: A built Functional or Sequential model.

    Raises:
        ModelError: It is not built, or is a subclassed model.

    Example:
        >>> import keras
        >>> x = keras.Input((2,))
        >>> y = keras.layers.Dense(2, name="dense")(x)
        >>> [call.operation.name for call in calls(keras.Model(x, keras.layers.Add(name="add")([x, y])))]
        ['dense', 'add']
    """
    depths = functional(require_graph(model))._nodes_by_depth
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth] if not node.is_input]
    return tuple(
        Call(node.operation, tuple(node.arguments.args), dict(node.arguments.kwargs), tuple(node.outputs))
        for node in nodes
    )


def flattened(model: Any) -> Graph:
    """The graph of a model, the calls of nested models in the place of the model's.

    A nested model that is called twice has its calls twice, with the same operations on other tensors.

    Args:
        model: A built Functional or Sequential model.

    Raises:
        ModelError: It is not built, or is a subclassed model.

    Example:
        >>> import keras
        >>> inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="inside")])
        >>> outer = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(1, name="outside")])
        >>> [(call.operation.name, call.outputs[0].shape) for call in flattened(outer).calls]
        [('inside', (None, 3)), ('outside', (None, 1))]
    """
    level = functional(require_graph(model))
    known = {id(each): _tensor(each) for each in level.inputs}
    entries: list[tuple[Any, Tensor]] = []
    found = tuple(_level(model, known, entries))
    return Graph(
        tuple(known[id(each)] for each in level.inputs),
        found,
        tuple(known[id(each)] for each in level.outputs),
        tuple(entries),
    )


def functional(model: Any) -> Any:
    """The Functional model that a model with a graph is or, as a Sequential one, has: with inputs and outputs."""
    return getattr(model, "_functional", model)


def input_layer(tensor: Any) -> Any:
    """The layer that a model's input, a KerasTensor, comes from."""
    return tensor._keras_history.operation


def replaced(structure: Any, known: dict[int, Any]) -> Any:
    """A nest of arguments with values in the place of tensors.

    Args:
        structure: The nest.
        known: The value for each tensor in it, by the tensor's id.
    """
    import keras

    def replace(leaf: Any) -> Any:
        return known[id(leaf)] if isinstance(leaf, (Tensor, keras.KerasTensor)) else leaf

    return keras.tree.map_structure(replace, structure)


def _tensor(origin: Any) -> Tensor:
    return Tensor(tuple(origin.shape), str(origin.dtype), origin)


def _level(model: Any, known: dict[int, Tensor], entries: list[tuple[Any, Tensor]]) -> Iterator[Call]:
    """The calls of a model whose inputs are known; what they give becomes known."""
    for each in calls(model):
        args, kwargs = replaced((each.args, each.kwargs), known)
        if has_graph(each.operation):
            yield from _nested(each, list(_tensors((args, kwargs))), known, entries)
            continue
        known.update((id(origin), _tensor(origin)) for origin in each.outputs)
        yield Call(each.operation, args, kwargs, tuple(known[id(origin)] for origin in each.outputs))


def _nested(
    outer: Call, given: list[Tensor], known: dict[int, Tensor], entries: list[tuple[Any, Tensor]]
) -> Iterator[Call]:
    level = functional(outer.operation)
    entries.extend(zip(level.inputs, given))
    inside = {id(origin): tensor for origin, tensor in zip(level.inputs, given)}
    yield from _level(outer.operation, inside, entries)
    made = (inside[id(origin)] for origin in level.outputs)
    known.update((id(origin), tensor) for origin, tensor in zip(outer.outputs, made))


def _tensors(structure: Any) -> Iterator[Any]:
    import keras

    for leaf in keras.tree.flatten(structure):
        if isinstance(leaf, (Tensor, keras.KerasTensor)):
            yield leaf
