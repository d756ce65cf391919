"""What prune touches: kernels, the sparsity that each is to reach, and what goes with a unit of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from tfkit.attach.variables import excluded, named_variables
from tfkit.errors import ModelError
from tfkit.graph import Call, Graph, flattened
from tfkit.parameters import suggest
from tfkit_compressors.kernels import kernels
from tfkit_compressors.schemas import Prune

# Whose kernels have a unit's weights along the last axis.
_WITH_UNITS = ("Dense", "Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D")


@dataclass(frozen=True, eq=False)
class Chosen:
    """A kernel that is pruned.

    Attributes:
        kernel: The variable.
        sparsity: The share of zeros that it is to reach; of units, where those are pruned.
        followers: Variables of one value a unit that are zero where a unit is: the bias, and gamma and
            beta of a BatchNormalization that reads the layer.
    """

    kernel: keras.Variable
    sparsity: float
    followers: tuple[keras.Variable, ...] = ()


def chosen(model: keras.Model, settings: Prune) -> list[Chosen]:
    """The kernels that a model is pruned in, by prune's parameters.

    Raises:
        ModelError: The model is not built, has nothing to prune, lacks a layer that is named, or is
            subclassed where units are pruned.
    """
    found = kernels(model, exclude=settings.exclude, depthwise=settings.depthwise)
    owners = {id(variable): layer for layer, _, variable in named_variables(model)}
    sparsities = _sparsities(settings, [owners[id(kernel)] for kernel in found])
    if settings.granularity == "weight":
        return [Chosen(*each) for each in zip(found, sparsities)]
    graph = flattened(model)
    last = _output_layers(graph)
    pruned = [
        Chosen(kernel, sparsity, _followers(owners[id(kernel)], graph))
        for kernel, sparsity in zip(found, sparsities)
        if type(owners[id(kernel)]).__name__ in _WITH_UNITS and owners[id(kernel)] not in last
    ]
    if not pruned:
        raise ModelError(
            f"model {model.name!r} has no units to prune: no {', '.join(_WITH_UNITS[:-1])} or {_WITH_UNITS[-1]} "
            f"besides those that give its outputs, outside of exclude={settings.exclude!r}"
        )
    return pruned


def _sparsities(settings: Prune, layers: list[Any]) -> list[float]:
    """The sparsity of each layer's kernel; the last name of `layers` that fits counts."""
    own = settings.layers or {}
    for name in own:
        if not any(excluded(layer, (name,)) for layer in layers):
            known = {known for layer in layers for known in (layer.name, type(layer).__name__)}
            raise ModelError(f"layers names {name!r}, and no layer that is pruned has that name{suggest(name, known)}")
    return [
        next((share for name, share in reversed(own.items()) if excluded(layer, (name,))), settings.sparsity)
        for layer in layers
    ]


def _output_layers(graph: Graph) -> list[Any]:
    """The layers with weights whose units are outputs of the model, as they are or after operations without weights."""
    makers = {id(tensor): call for call in graph.calls for tensor in call.outputs}
    left, found, seen = list(graph.outputs), [], set()
    while left:
        call = makers.get(id(left.pop()))
        if call is None or id(call) in seen:
            continue
        seen.add(id(call))
        if getattr(call.operation, "kernel", None) is not None or hasattr(call.operation, "pointwise_kernel"):
            found.append(call.operation)
        else:
            left.extend(call.inputs)
    return found


def _followers(layer: Any, graph: Graph) -> tuple[keras.Variable, ...]:
    made = {id(tensor) for call in graph.calls if call.operation is layer for tensor in call.outputs}
    candidates = [getattr(layer, "bias", None)]
    for reader in _readers(graph, made):
        if isinstance(reader.operation, keras.layers.BatchNormalization):
            candidates += [reader.operation.gamma, reader.operation.beta]
    return tuple(each for each in candidates if each is not None and each.trainable)


def _readers(graph: Graph, tensors: set[int]) -> Iterator[Call]:
    for call in graph.calls:
        if any(id(tensor) in tensors for tensor in call.inputs):
            yield call
