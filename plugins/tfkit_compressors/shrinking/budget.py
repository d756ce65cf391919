"""within: the least that must go for a model to cost no more than a share of what it cost."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Literal

import numpy as np

from tfkit import ParameterError, measure
from tfkit.flops import flops_of
from tfkit_compressors.shrinking.build import shrunk
from tfkit_compressors.shrinking.plan import Plan
from tfkit_compressors.shrinking.ranking import Ranking

Cost = Literal["parameters", "bytes", "flops", "latency"]
_REPEATS = 50


def within(ranking: Ranking, *, budget: float, cost: Cost, ratio: float, sample: Any) -> tuple[Plan, str]:
    """Removes as few units as keep a budget, those that are worth least in the whole model first.

    Args:
        ranking: The units.
        budget: Share of the source's cost that may stay, between 0 and 1.
        cost: What is counted: parameters, bytes of the weights, operations (`tfkit.flops.flops`), or the
            median latency of the traced model, which is measured.
        ratio: Largest share that any group loses.
        sample: A row of input, for "latency".

    Returns:
        The plan, and a note that says what was reached.

    Raises:
        ParameterError: The budget is missed even where every group loses its largest share.
    """
    count, steps = _COSTS[cost]
    allowed = budget * count(ranking.plan, sample)
    total = sum(len(group.units) for group in ranking.plan.free)
    low, high = 0, total
    found = ranking.cut_globally(total, ratio)
    reached = count(found, sample)
    if reached > allowed:
        raise ParameterError(
            f"the parameter 'budget' of compressor 'shrink' cannot be kept: where every group loses {ratio:g} of its "
            f"units {cost} are {reached / allowed * budget:.3f} of the source's, and not {budget:g}; raise it or ratio"
        )
    for _ in range(steps):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        plan = ranking.cut_globally(middle, ratio)
        value = count(plan, sample)
        if value <= allowed:
            high, found, reached = middle, plan, value
        else:
            low = middle
    return found, f"{cost}: {reached / allowed * budget:.3f} of the source's, within the budget of {budget:g}"


def parameters(plan: Plan, sample: Any = None) -> int:
    """Number of weights that a plan leaves."""
    shape = _shapes(plan)
    return sum(prod(shape(each)) for each in plan.model.weights)


def _bytes(plan: Plan, sample: Any) -> int:
    shape = _shapes(plan)
    return sum(np.dtype(_plain(each.dtype)).itemsize * prod(shape(each)) for each in plan.model.weights)


def _plain(dtype: str) -> str:
    return {"bfloat16": "float16", "string": "S1"}.get(dtype, dtype)


def operations(plan: Plan, sample: Any = None) -> int:
    """Floating-point operations for one row that a plan leaves, as `tfkit.flops.flops` counts them."""
    return flops_of(plan.trace.graph, _shapes(plan))


def _shapes(plan: Plan) -> Callable[[Any], Any]:
    """What shape a weight, or a tensor of the graph, has without the units that go."""
    left: dict[Any, dict[int, int]] = {}
    for cut in plan.cuts():
        left.setdefault(id(cut.variable), {})[cut.axis] = int(plan.kept(cut.channels).sum())
    for tensor, labels in plan.trace.labels.items():
        if labels is not None:
            left[id(tensor)] = {labels.axis: int(plan.kept(labels.channels).sum())}

    def shape(value: Any) -> tuple[int | None, ...]:
        own = left.get(id(value), {})
        return tuple(own.get(axis, length) for axis, length in enumerate(value.shape))

    return shape


def _latency(plan: Plan, sample: Any) -> float:
    return measure(shrunk(plan), sample, repeats=_REPEATS).latency_p50_ms


# How each cost is found, and in how many tries the least that must go is looked for.
_COSTS: dict[str, tuple[Callable[[Plan, Any], float], int]] = {
    "parameters": (parameters, 30),
    "bytes": (_bytes, 30),
    "flops": (operations, 30),
    "latency": (_latency, 7),
}
