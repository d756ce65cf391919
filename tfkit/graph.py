"""The graph of a Functional or Sequential model: its calls of operations, in an order that can be run.

The one place that reads Keras's private record of a graph (`_functional`, `_nodes_by_depth`, `_keras_history`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfkit.errors import ModelError
from tfkit.models import require_built
from tfkit.reasons import reason


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

    functional = getattr(model, "_functional", model)
    return isinstance(model, keras.Model) and hasattr(functional, "_nodes_by_depth")


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
    functional = _functional(require_graph(model))
    depths = functional._nodes_by_depth
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
    functional = _functional(require_graph(model))
    known = {id(each): _tensor(each) for each in functional.inputs}
    entries: list[tuple[Any, Tensor]] = []
    found = tuple(_level(model, known, entries))
    return Graph(
        tuple(known[id(each)] for each in functional.inputs),
        found,
        tuple(known[id(each)] for each in functional.outputs),
        tuple(entries),
    )


def run(model: Any, inputs: Any, call: Callable[..., Any]) -> list[Any]:
    """Runs a model's own level on other values: arrays, or the symbolic tensors of another framework.

    Args:
        model: A built Functional or Sequential model.
        inputs: A value for each of its inputs, flat, in Keras's order.
        call: Called as `call(operation, *args, **kwargs)` for each call; gives what the operation would.

    Returns:
        The model's outputs, flat.

    Raises:
        ModelError: The model is not built, or is a subclassed model.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
        >>> run(model, [np.array([[-1.0, 2.0]])], lambda operation, x: np.maximum(x, 0))
        [array([[0., 2.]])]
    """
    import keras

    functional = _functional(require_graph(model))
    found = {id(tensor): value for tensor, value in zip(functional.inputs, inputs, strict=True)}
    for each in calls(model):
        args, kwargs = _replaced((each.args, each.kwargs), found)
        outputs = keras.tree.flatten(call(each.operation, *args, **kwargs))
        found.update((id(tensor), value) for tensor, value in zip(each.outputs, outputs))
    return [found[id(tensor)] for tensor in functional.outputs]


def values(graph: Graph, inputs: Any) -> Iterator[tuple[Tensor, Any]]:
    """Computes a graph eagerly and gives each tensor with its value, which is then forgotten once it was read.

    Args:
        graph: The graph.
        inputs: An array for each of its inputs, flat.

    Yields:
        Pairs of a tensor and its value, the inputs first.
    """
    import keras

    found = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    last = {id(tensor): call for call in graph.calls for tensor in call.inputs}
    yield from ((tensor, found[id(tensor)]) for tensor in graph.inputs)
    for call in graph.calls:
        args, kwargs = _replaced((call.args, call.kwargs), found)
        outputs = keras.tree.flatten(call.operation(*args, **kwargs))
        found.update((id(tensor), value) for tensor, value in zip(call.outputs, outputs))
        yield from zip(call.outputs, outputs)
        for tensor in call.inputs:
            if last[id(tensor)] is call:
                found.pop(id(tensor), None)


def rebuilt(model: Any, clone: Callable[[Any], Any], inputs: Any = None) -> Any:
    """The same graph over other operations, as a new model of the same type and name that is not compiled.

    Args:
        model: A built Functional or Sequential model.
        clone: Gives the new operation for one of its own, or a tuple of layers to be called one after another;
            the same one each time it is asked for a shared layer.
        inputs: New `keras.Input` tensors in the nest of the model's; None for ones like the model's.

    Raises:
        ModelError: The model is not built, is subclassed, or its class takes other arguments than
            `keras.Model(inputs, outputs)`.
    """
    import keras

    if inputs is None:
        inputs = inputs_like(model, lambda tensor: tensor.shape)
    if isinstance(model, keras.Sequential):
        layers = [layer for each in model.layers for layer in _chain(clone(each))]
        return keras.Sequential([*keras.tree.flatten(inputs), *layers], name=model.name)

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        first, *others = _chain(clone(operation))
        value = first(*args, **kwargs)
        for other in others:
            value = other(value)
        return value

    outputs = keras.tree.pack_sequence_as(model.output, run(model, keras.tree.flatten(inputs), call))
    try:
        return type(model)(inputs, outputs, name=model.name)
    except TypeError as error:
        raise ModelError(
            f"model {model.name!r} cannot be made anew, since {type(model).__name__} takes other arguments than "
            f"keras.Model(inputs, outputs): {reason(error)}"
        ) from error


def _chain(operations: Any) -> tuple[Any, ...]:
    return operations if isinstance(operations, tuple) else (operations,)


def inputs_like(model: Any, shape: Callable[[Any], Any]) -> Any:
    """New `keras.Input` tensors in the nest of a model's inputs, with the names and settings of its input layers.

    Args:
        model: A built Functional or Sequential model.
        shape: Gives the new shape, batch first, for one of its inputs.

    Raises:
        ModelError: The model is not built, or is a subclassed model.
    """
    import keras

    def like(tensor: Any) -> Any:
        layer = tensor._keras_history.operation
        return type(layer).from_config({**layer.get_config(), "batch_shape": shape(tensor)}).output

    return keras.tree.map_structure(like, _functional(require_graph(model)).input)


def _functional(model: Any) -> Any:
    return getattr(model, "_functional", model)


def _tensor(origin: Any) -> Tensor:
    return Tensor(tuple(origin.shape), str(origin.dtype), origin)


def _level(model: Any, known: dict[int, Tensor], entries: list[tuple[Any, Tensor]]) -> Iterator[Call]:
    """The calls of a model whose inputs are known; what they give becomes known."""
    for each in calls(model):
        args, kwargs = _replaced((each.args, each.kwargs), known)
        if has_graph(each.operation):
            yield from _nested(each, list(_tensors((args, kwargs))), known, entries)
            continue
        known.update((id(origin), _tensor(origin)) for origin in each.outputs)
        yield Call(each.operation, args, kwargs, tuple(known[id(origin)] for origin in each.outputs))


def _nested(
    outer: Call, given: list[Tensor], known: dict[int, Tensor], entries: list[tuple[Any, Tensor]]
) -> Iterator[Call]:
    functional = _functional(outer.operation)
    entries.extend(zip(functional.inputs, given))
    inside = {id(origin): tensor for origin, tensor in zip(functional.inputs, given)}
    yield from _level(outer.operation, inside, entries)
    made = (inside[id(origin)] for origin in functional.outputs)
    known.update((id(origin), tensor) for origin, tensor in zip(outer.outputs, made))


def _tensors(structure: Any) -> Iterator[Any]:
    import keras

    for leaf in keras.tree.flatten(structure):
        if isinstance(leaf, (Tensor, keras.KerasTensor)):
            yield leaf


def _replaced(structure: Any, known: dict[int, Any]) -> Any:
    import keras

    def replace(leaf: Any) -> Any:
        return known[id(leaf)] if isinstance(leaf, (Tensor, keras.KerasTensor)) else leaf

    return keras.tree.map_structure(replace, structure)
