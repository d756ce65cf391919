"""What prune touches: kernels, the sparsity that each is to reach, and what goes with a unit of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from tfkit.attach.variables import excluded, layers_in, named_variables
from tfkit.errors import ModelError
from tfkit.graph import Call, Graph, flattened
from tfkit.parameters import suggest
from tfkit_compressors.kernels import NAMES, is_depthwise, kernels
from tfkit_compressors.schemas import Prune

# Whose kernels have a unit's weights along the last axis.
_WITH_UNITS = ("Dense", "Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D")


@dataclass(frozen=True, eq=False)
class Chosen:
    """A kernel that is pruned.

    Attributes:
        kernel: The variable.
        sparsity: The share of zeros that it is to reach; of units, where those are pruned.
        is_own: Whether that is a sparsity given to its layer, and not that of all.
        followers: Variables of one value a unit that are zero where a unit is: the bias, and gamma and
            beta of a BatchNormalization that reads the layer.
    """

    kernel: keras.Variable
    sparsity: float
    is_own: bool
    followers: tuple[keras.Variable, ...] = ()


def chosen(model: keras.Model, settings: Prune) -> list[Chosen]:
    """The kernels that a model is pruned in, by prune's parameters.

    Raises:
        ModelError: The model is not built, has nothing to prune, lacks a layer that is named, or is
            subclassed where units are pruned.
    """
    found = kernels(model, exclude=settings.exclude, depthwise=settings.depthwise)
    owners = {id(variable): layer for layer, _, variable in named_variables(model)}
    layers = [owners[id(kernel)] for kernel in found]
    own = _own_sparsities(model, settings, layers)
    each_sparsity = [(own.get(id(layer), settings.sparsity), id(layer) in own) for layer in layers]
    if settings.granularity == "weight":
        return [Chosen(kernel, *sparsity) for kernel, sparsity in zip(found, each_sparsity)]
    graph = flattened(model)
    last = _output_weights(graph)
    pruned = [
        Chosen(kernel, *sparsity, _followers(layer, graph))
        for kernel, layer, sparsity in zip(found, layers, each_sparsity)
        if type(layer).__name__ in _WITH_UNITS and id(kernel) not in last
    ]
    if not pruned:
        raise ModelError(
            f"model {model.name!r} has no units to prune: no {', '.join(_WITH_UNITS[:-1])} or {_WITH_UNITS[-1]} "
            f"besides those that give its outputs, outside of exclude={settings.exclude!r}"
        )
    return pruned


def _own_sparsities(model: keras.Model, settings: Prune, layers: list[Any]) -> dict[int, float]:
    """Sparsities by the id of a layer, for those that `layers` names; the last name that fits counts."""
    found: dict[int, float] = {}
    pruned = {id(layer) for layer in layers}
    every = layers_in(model)
    for name, share in (settings.layers or {}).items():
        named = {id(each) for layer in every if excluded(layer, (name,)) for each in layers_in(layer)}
        if named.isdisjoint(pruned):
            known = {known for layer in layers for known in (layer.name, type(layer).__name__)}
            raise ModelError(f"layers names {name!r}, and no layer that is pruned has that name{suggest(name, known)}")
        found.update(dict.fromkeys(named, share))
    return found


def _output_weights(graph: Graph) -> set[int]:
    """The ids of all weights in the last layers with kernels before each output of the model.

    Their units are the outputs, as they are or after operations that take each unit for itself. A kernel may be
    inside of the layer: in a wrapper, in a cell, in attention.
    """
    return {id(weight) for call in graph.last(_mixes_units) for weight in call.operation.weights}


def _mixes_units(call: Call) -> bool:
    has_kernel = any(weight.name in NAMES for weight in getattr(call.operation, "weights", ()))
    return has_kernel and not is_depthwise(call.operation)


def _followers(layer: Any, graph: Graph) -> tuple[keras.Variable, ...]:
    made = (tensor for call in graph.calls if _inside(call.operation) is layer for tensor in call.outputs)
    candidates = [getattr(layer, "bias", None)]
    for reader in (reader.operation for tensor in made for reader in graph.readers[tensor]):
        if isinstance(reader, keras.layers.BatchNormalization):
            candidates += [reader.gamma, reader.beta]
    return tuple(each for each in candidates if each is not None and each.trainable)


def _inside(operation: Any) -> Any:
    """What a wrapper such as TimeDistributed calls on each step; others are it themselves."""
    return operation.layer if isinstance(operation, keras.layers.Wrapper) else operation
