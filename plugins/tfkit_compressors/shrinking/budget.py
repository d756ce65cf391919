"""within: the least that must go for a model to cost no more than a share of what it cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from tfkit import ParameterError, measure
from tfkit.flops import flops
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


def parameters(plan: Plan, sample: Any = None) -> float:
    """Number of weights that a plan leaves."""
    return sum(_lengths(plan).values())


def _bytes(plan: Plan, sample: Any) -> float:
    widths = {id(each): np.dtype(_plain(each.dtype)).itemsize for each in plan.model.weights}
    return sum(widths[weight] * size for weight, size in _lengths(plan).items())


def _plain(dtype: str) -> str:
    return {"bfloat16": "float16", "string": "S1"}.get(dtype, dtype)


def _lengths(plan: Plan) -> dict[int, float]:
    """How many values of each weight are left, by the weight's id."""
    sizes = {id(each): float(np.prod(each.shape)) for each in plan.model.weights}
    for cut in plan.cuts():
        sizes[id(cut.variable)] *= float(plan.kept(cut.channels).mean())
    return sizes


def _flops(plan: Plan, sample: Any) -> float:
    return flops(shrunk(plan))


def _latency(plan: Plan, sample: Any) -> float:
    return measure(shrunk(plan), sample, repeats=_REPEATS).latency_p50_ms


# How each cost is found, and in how many tries the least that must go is looked for.
_COSTS: dict[str, tuple[Callable[[Plan, Any], float], int]] = {
    "parameters": (parameters, 30),
    "bytes": (_bytes, 30),
    "flops": (_flops, 10),
    "latency": (_latency, 7),
}
