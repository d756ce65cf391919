"""Which layers of a model go on which device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from tfkit.flops import flops_of
from tfkit.graph import Graph, flattened


def stages(model: keras.Model, count: int, balance: str) -> list[list[Any]]:
    """The operations of a model in runs, one for each device, in the order in which they are computed.

    Args:
        model: A built Functional or Sequential model.
        count: Number of devices.
        balance: "bytes" of weights or "flops".

    Raises:
        ModelError: As for `tfkit.graph.flattened`, and for "flops" as for `tfkit.flops.flops`.

    Example:
        >>> dense = [keras.layers.Dense(units, name=f"dense{units}") for units in (9, 2, 3)]
        >>> [[each.name for each in run] for run in stages(keras.Sequential([keras.Input((4,)), *dense]), 2, "bytes")]
        [['dense9'], ['dense2', 'dense3']]
    """
    costs = _costs(flattened(model), balance)
    operations = list(costs)
    return [operations[first:last] for first, last in runs(list(costs.values()), count)]


def runs(costs: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Runs of neighbours, at most `count`, whose largest sum is as small as it can be, as (first, last + 1).

    Example:
        >>> runs([5, 1, 1, 4, 2], 2)
        [(0, 3), (3, 5)]
    """
    low, high = max(costs, default=0), sum(costs)
    while low < high:
        middle = (low + high) // 2
        if len(_filled(costs, middle)) <= count:
            high = middle
        else:
            low = middle + 1
    return _filled(costs, high)


def _filled(costs: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Runs that are as long as they may be."""
    ends, total = [], 0
    for position, cost in enumerate(costs):
        if total + cost > most:
            ends.append(position)
            total = 0
        total += cost
    return list(zip([0, *ends], [*ends, len(costs)]))


def _costs(graph: Graph, balance: str) -> dict[Any, int]:
    """Cost by operation; one that is called twice stands where it is called first."""
    costs: dict[Any, int] = {}
    for call in graph.calls:
        if balance == "flops":
            cost = flops_of(replace(graph, calls=(call,)), lambda each: each.shape)
            costs[call.operation] = costs.get(call.operation, 0) + cost
        else:
            costs[call.operation] = sum(_bytes(each) for each in getattr(call.operation, "weights", ()))
    return costs


def _bytes(variable: Any) -> int:
    return int(variable.value.dtype.size) * int(variable.value.shape.num_elements())
