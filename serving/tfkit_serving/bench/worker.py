"""`python -m tfkit_serving.bench.worker`: makes the load of a plan that it reads, prints progress and what it met."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from time import perf_counter_ns
from typing import Any

from tfkit_serving.bench.loops import ClosedLoop, OpenLoop
from tfkit_serving.bench.plan import Plan
from tfkit_serving.bench.record import Record

_SECOND = 1_000_000_000
_LOOK = 0.25


async def make_load(plan: Plan, progress: Any = None) -> dict[str, Any]:
    """Puts a plan's load on its server from this process.

    Args:
        plan: The load.
        progress: Called now and then with the number of requests that were answered.

    Returns:
        What `Result.add` takes.
    """
    begin = perf_counter_ns() + int(plan.warm_up * _SECOND)
    record = Record(begin, begin + int(plan.duration * _SECOND))
    loop = ClosedLoop(plan, record) if plan.rate is None else OpenLoop(plan, record)
    connections: list[Any] = [_connection(plan, loop) for _ in range(plan.clients)]
    opening = asyncio.gather(*(each.connect() for each in connections))
    loop.start()
    await _wait(plan, record, loop, connections, progress)
    loop.stop()
    opening.cancel()
    await asyncio.gather(opening, *(each.close() for each in connections), return_exceptions=True)
    return {"latencies": record.latencies.as_dict(), "late": loop.late.as_dict(), "errors": record.errors}


async def _wait(plan: Plan, record: Record, loop: ClosedLoop | OpenLoop, connections: list[Any], progress: Any) -> None:
    """Until the time is over and what was sent is answered, or given up."""
    last = record.end + int(plan.timeout * _SECOND) + _SECOND
    while (now := perf_counter_ns()) < last:
        for each in connections:
            each.expire(now)
        if now >= record.end and not any(each.busy for each in connections):
            return
        if progress is not None:
            progress(record.seen)
        await asyncio.sleep(min(_LOOK, max((record.end - now) / _SECOND, 0.01)))


def _connection(plan: Plan, loop: ClosedLoop | OpenLoop) -> Any:
    if plan.transport == "grpc":
        from tfkit_serving.bench.grpc_connection import GrpcConnection

        return GrpcConnection(plan, loop)
    from tfkit_serving.bench.http_connection import HttpConnection

    return HttpConnection(plan, loop)


def _print(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Reads a plan from standard input; writes lines of JSON: {"seen": n} now and then, at last {"found": …}."""
    plan = Plan.from_json(sys.stdin.read())
    gc.freeze()
    _print(found=_run(make_load(plan, lambda seen: _print(seen=seen))))


def _run(work: Any) -> Any:
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.run(work)
    return uvloop.run(work)


if __name__ == "__main__":
    main()
