"""The pages beside the API: metrics, health, readiness."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.answers import TEXT, Answer

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Wait for work, no longer than some seconds.

    Raises:
        ServingError: DEADLINE_EXCEEDED.
    """
    task = asyncio.current_task()
    assert task is not None
    late = False

    def expire() -> None:
        nonlocal late
        late = True
        task.cancel()

    # asyncio.wait_for would cost each request a task of its own.
    timer = asyncio.get_running_loop().call_later(seconds, expire)
    try:
        return await work
    except asyncio.CancelledError:
        if not late:
            raise
        if sys.version_info >= (3, 11):
            task.uncancel()
        raise ServingError("DEADLINE_EXCEEDED", f"no answer within {seconds} seconds (timeout_seconds)") from None
    finally:
        timer.cancel()


def metrics(path: bytes, expected: bytes) -> Answer:
    """All metrics, for Prometheus; like the real server it takes no query."""
    if path != expected:
        text = f"Unexpected path: {path.decode('latin-1')}. Should be {expected.decode()}"
        return Answer(400, text.encode("latin-1"), TEXT, code="INVALID_ARGUMENT")
    return Answer(200, METRICS.render().encode(), TEXT)


def health() -> Answer:
    """That the process lives."""
    return Answer(200, b"ok\n", TEXT)


def readiness(core: Any) -> Answer:
    """Whether every configured model has an available version; the others are named."""
    waiting = core.waiting()
    if not waiting:
        return Answer(200, b"ready\n", TEXT)
    text = "no version is available of: " + ", ".join(sorted(waiting)) + "\n"
    return Answer(503, text.encode("utf-8", "replace"), TEXT, code="UNAVAILABLE")
