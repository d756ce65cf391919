"""Offload: a few workers, and whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from typing import Any

from tfkit_serving.offload.bounds import Find, TooLong
from tfkit_serving.offload.worker import Answered, Worker
from tfkit_serving.protocol.errors import ServingError

# Such requests leave one worker to the others.
_LARGE_BYTES = 4 << 20
_MOST_BYTES = 1 << 30
_IDLE_SECONDS = 60.0


class Offload:
    """Has long requests answered by worker processes, which are started when they are needed.

    There are half as many as processors, at least two. One of them never takes a request of more than 4 MiB, so that
    those of moderate size pass the large ones by. One that has had nothing to do for a minute is ended, and so is one
    whose request nobody waits for any more.

    Args:
        workers: How many processes there may be, at least two; None for half as many as processors.

    Example:
        >>> answered = await Offload().answer(request, body, TooLong(core.servable))  # doctest: +SKIP
    """

    def __init__(self, workers: int | None = None) -> None:
        count = workers or max(2, (os.cpu_count() or 1) // 2)
        self._turns, self._large = asyncio.Semaphore(count), asyncio.Semaphore(count - 1)
        self._idle: dict[Worker, asyncio.TimerHandle] = {}
        self._busy: set[Worker] = set()
        self._held = 0

    def pids(self) -> list[int]:
        """The workers' processes."""
        return [each.pid for each in (*self._busy, *self._idle)]

    async def answer(self, request: Mapping[str, Any], body: bytes, long: TooLong) -> Answered:
        """Has a worker answer a request.

        Args:
            request: What `worker_main` is told of it.
            body: Its bytes.
            long: Why it is not for the event loop, and how its version is found.

        Raises:
            ServingError: UNAVAILABLE: a gibibyte of requests waits. INTERNAL: the process died of it.
        """
        size = len(body) + long.nbytes
        if self._held + size > _MOST_BYTES and self._held:
            raise ServingError("UNAVAILABLE", f"long requests of {self._held} bytes wait to be read; try again")
        self._held += size
        try:
            async with self._large if size > _LARGE_BYTES else contextlib.nullcontext(), self._turns:
                return await self._answer(request, body, long.find)
        finally:
            self._held -= size

    async def close(self) -> None:
        """Ends the workers; what they do is given up."""
        for each in (*self._busy, *self._idle):
            each.kill()
        for timer in self._idle.values():
            timer.cancel()
        self._idle.clear()

    async def _answer(self, request: Mapping[str, Any], body: bytes, find: Find) -> Answered:
        worker = await self._taken()
        self._busy.add(worker)
        try:
            answered = await worker.answer(request, body, find)
        except BaseException:
            worker.kill()  # it reads on for nobody, or is gone
            raise
        else:
            self._idle[worker] = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._retire, worker)
            return answered
        finally:
            self._busy.discard(worker)

    async def _taken(self) -> Worker:
        while self._idle:
            worker, timer = self._idle.popitem()
            timer.cancel()
            if not worker.gone:
                return worker
        return await Worker.start()

    def _retire(self, worker: Worker) -> None:
        del self._idle[worker]
        worker.kill()
