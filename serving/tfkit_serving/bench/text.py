"""What a load met, in words and bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tfkit_serving.bench.plan import Plan
from tfkit_serving.bench.record import Result


def in_words(plan: Plan, result: Result, floor: Mapping[str, float] | None = None) -> str:
    """The report of a load.

    Args:
        plan: The load.
        result: What it met.
        floor: What `measure_floor` found, if it was asked.
    """
    return "\n".join(_lines(plan, result, floor))


def _lines(plan: Plan, result: Result, floor: Mapping[str, float] | None) -> Iterator[str]:
    found = result.as_dict()
    kind = "closed loop" if plan.rate is None else f"open loop at {plan.rate:,.0f}/s ({plan.arrivals})"
    yield f"{kind}, {plan.clients} clients, {plan.duration:g} s after {plan.warm_up:g} s of warm-up"
    yield f"{found['requests']:,} answers, {found['requests_per_second']:,.0f}/s; {result.failed:,} failed"
    names = ("p50", "p90", "p99", "p999", "max")
    yield "  ".join(f"{name} {found[f'{name}_ms']:.3g} ms" for name in names)
    if plan.rate is not None:
        yield f"sent late by this program itself: p99 {found['generator_late_p99_ms']:.3g} ms"
    if floor is not None:
        ratio = result.rate / floor["requests_per_second"]
        yield f"in process, a row at a time: {floor['requests_per_second']:,.0f}/s; the server does {ratio:.2f} of that"
    for name, count in list(found["errors"].items())[:10]:
        yield f"  failed {count:,} × {name}"
    yield from result.latencies.bars()
