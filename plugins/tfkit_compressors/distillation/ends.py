"""How a model ends: the last activation of each output, read from the graph of a Functional model."""

from __future__ import annotations

from typing import Any

import keras

from tfkit.graph import flattened, has_graph


def end_activation(model: Any, index: int) -> str | None:
    """The name of the last activation before an output, such as "softmax" or "linear".

    Args:
        model: A model.
        index: Which of its outputs.

    Returns:
        None where the end is something else, or the model has no graph.

    Example:
        >>> end_activation(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")]), 0)
        'softmax'
    """
    if not has_graph(model):
        return None
    graph = flattened(model)
    last = graph.makers.get(graph.outputs[index])
    return None if last is None else _activation(last.operation)


def _activation(operation: Any) -> str | None:
    if isinstance(operation, keras.layers.Wrapper):
        return _activation(operation.layer)
    if type(operation).__name__ in ("Softmax", "Sigmoid"):
        return type(operation).__name__.lower()
    return getattr(getattr(operation, "activation", None), "__name__", None)
