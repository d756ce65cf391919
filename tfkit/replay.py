"""Running a model's graph on other values, and building it anew over other operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tfkit.errors import ModelError
from tfkit.graph import Graph, Tensor, calls, functional, input_layer, replaced, require_graph
from tfkit.reasons import reason


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

    level = functional(require_graph(model))
    found = {id(tensor): value for tensor, value in zip(level.inputs, inputs, strict=True)}
    for each in calls(model):
        args, kwargs = replaced((each.args, each.kwargs), found)
        outputs = keras.tree.flatten(call(each.operation, *args, **kwargs))
        found.update((id(tensor), value) for tensor, value in zip(each.outputs, outputs))
    return [found[id(tensor)] for tensor in level.outputs]


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
        args, kwargs = replaced((call.args, call.kwargs), found)
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
        layer = input_layer(tensor)
        return type(layer).from_config({**layer.get_config(), "batch_shape": shape(tensor)}).output

    return keras.tree.map_structure(like, functional(require_graph(model)).input)


def flat_inputs(model: Any, x: Any) -> list[Any]:
    """Rows as flat tensors in the order of a model's inputs, as Keras would hand them in.

    Args:
        model: A built Functional or Sequential model.
        x: An array, or a list or dict of arrays, a row each of the first axis.
    """
    import keras

    named = isinstance(x, dict) and not isinstance(getattr(model, "input", None), dict)
    flat = [x[tensor.name] for tensor in model.inputs] if named else keras.tree.flatten(x)
    return [_as_input(tensor, leaf) for tensor, leaf in zip(model.inputs, flat, strict=True)]


def _as_input(tensor: Any, leaf: Any) -> Any:
    import keras
    import numpy as np

    array = np.asarray(leaf)
    if array.ndim == len(tensor.shape) - 1:
        array = array[..., None]  # as Keras does
    return keras.ops.convert_to_tensor(array, tensor.dtype)
