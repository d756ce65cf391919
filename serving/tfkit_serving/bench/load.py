"""run_load: a plan's load from processes of its own, so that what calls it costs the load nothing."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import Callable
from typing import Any

from tfkit_serving.bench.plan import Plan
from tfkit_serving.bench.record import Result

Progress = Callable[[int], None]
_GRACE = 30.0


def run_load(plan: Plan, processes: int = 1, progress: Progress | None = None) -> Result:
    """Puts a load on a server.

    Args:
        plan: The load.
        processes: Processes that make it; one makes some 100,000 REST requests a second, or 3,000 by gRPC.
        progress: Called now and then with the number of requests that were answered so far.

    Returns:
        What it met.

    Raises:
        RuntimeError: A process that makes the load failed.
    """
    return asyncio.run(_run_all(plan, processes, progress or (lambda seen: None)))


async def _run_all(plan: Plan, processes: int, progress: Progress) -> Result:
    parts = plan.share(processes)
    seen = [0] * len(parts)

    def count(index: int, number: int) -> None:
        seen[index] = number
        progress(sum(seen))

    limit = plan.warm_up + plan.duration + plan.timeout + _GRACE
    jobs = (_run_one(part, functools.partial(count, index)) for index, part in enumerate(parts))
    found = await asyncio.wait_for(asyncio.gather(*jobs), limit)
    result = Result(plan.duration)
    for each in found:
        result.add(each)
    return result


async def _run_one(plan: Plan, progress: Progress) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tfkit_serving.bench.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        process.stdin.write(plan.to_json().encode())
        process.stdin.close()
        async for line in process.stdout:
            message = json.loads(line)
            if "found" in message:
                await process.wait()
                return dict(message["found"])
            progress(message["seen"])
        text = (await process.stderr.read()).decode("utf-8", "replace").strip()
        raise RuntimeError(f"the process that makes the load ended: {text[-500:]}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
