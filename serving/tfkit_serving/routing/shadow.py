"""Shadow: a version that is asked everything too, compared, and never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tfkit_serving.monitoring.registry import Counter

# Beyond as many at a time, requests are not sent to the shadow: it must not take what callers need.
_MOST, _MOST_BYTES = 128, 16 << 20
# Longer than any answer that is worth a comparison; a shadow that hangs must not keep requests in memory for ever.
_SECONDS = 60.0


class Shadow:
    """Asks a second time in the background, and counts rows as agreed, disagreed, failed or dropped.

    Args:
        counter: Where rows are counted, by model, label and outcome.
        seconds: How long the shadow may take.

    Example:
        >>> async def main():
        ...     counter = Counter("shadow_rows_total", "", ("model", "label", "outcome"), 9)
        ...     shadow = Shadow(counter)
        ...     shadow.send("digits", "canary", 5, 40, lambda: asyncio.sleep(0, result=4))
        ...     await shadow.settle()
        ...     return counter.values
        >>> asyncio.run(main())
        {('digits', 'canary', 'agreed'): 4, ('digits', 'canary', 'disagreed'): 1}
    """

    def __init__(self, counter: Counter, seconds: float = _SECONDS) -> None:
        self._counter = counter
        self._seconds = seconds
        self._running: dict[asyncio.Task[None], int] = {}
        self._bytes = 0

    def send(self, model: str, label: str, rows: int, size: int, ask: Callable[[], Awaitable[int]]) -> None:
        """Asks and compares, later; returns at once.

        Args:
            model: The model.
            label: The shadow's version label.
            rows: Rows that the caller got.
            size: Bytes that are kept until the shadow has answered.
            ask: Asks the shadow for the same rows, and tells how many agree.
        """
        if len(self._running) >= _MOST or self._bytes + size > _MOST_BYTES:
            self._counter.add((model, label, "dropped"), rows)
            return
        task = asyncio.get_running_loop().create_task(self._compare(model, label, rows, ask))
        self._running[task] = size
        self._bytes += size
        task.add_done_callback(self._done)

    async def settle(self) -> None:
        """Returns when nothing is being asked."""
        await asyncio.gather(*self._running)

    async def close(self) -> None:
        """Ends what is still being asked."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compare(self, model: str, label: str, rows: int, ask: Callable[[], Awaitable[int]]) -> None:
        try:
            agreed = await asyncio.wait_for(ask(), self._seconds)
        except Exception:  # whatever the shadow does is counted, and is nobody else's matter
            self._counter.add((model, label, "failed"), rows)
            return
        for outcome, count in (("agreed", agreed), ("disagreed", rows - agreed)):
            if count:
                self._counter.add((model, label, outcome), count)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._bytes -= self._running.pop(task)
