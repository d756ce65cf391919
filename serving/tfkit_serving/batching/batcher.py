"""Batcher: a work-conserving micro-batcher. It never waits for a batch to fill, and never lets a call stand idle."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Protocol

from tfkit_serving.batching.options import BatchingOptions
from tfkit_serving.batching.queue import Arrays, RowQueue, Waiting, concatenated, split
from tfkit_serving.protocol.errors import ServingError

Call = Callable[[str, Arrays, "Sequence[str] | None"], Awaitable[Arrays]]
_FULL = "The batch scheduling queue to which this task was submitted is full"


class Observer(Protocol):
    """Hears of batches."""

    def observe_batch(self, signature: str, rows: int) -> None:
        """A call of so many rows begins."""

    def observe_wait(self, signature: str, seconds: float) -> None:
        """A request of it has waited so long."""


class Batcher:
    """Gathers requests for a version while a call of their kind runs, and runs what has gathered as one.

    Requests are of one kind when they ask for the same signature and outputs, and their rows have the same shapes and
    dtypes. When nothing runs, a request starts at once. A batch is padded to the next size that is allowed, with a row
    of its own. One that fails is halved until the requests that make it fail are alone; one whose outputs do not have
    its rows is run request by request, and so are all of its kind from then on.

    Args:
        call: Runs a signature on arrays.
        options: Bounds.
        observer: Hears of batches and waits.

    Example:
        >>> import numpy as np
        >>> async def call(signature, inputs, outputs):
        ...     return {"y": inputs["x"] * 2}
        >>> async def main():
        ...     batcher = Batcher(call)
        ...     answers = [batcher.run("double", {"x": np.array([n])}) for n in range(3)]
        ...     return [each["y"].tolist() for each in await asyncio.gather(*answers)]
        >>> asyncio.run(main())
        [[0], [2], [4]]
    """

    def __init__(self, call: Call, options: BatchingOptions | None = None, observer: Observer | None = None) -> None:
        self._call = call
        self._observer = observer
        self._options = options or BatchingOptions()
        self._queues: dict[Any, RowQueue] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._unlike: set[Any] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not self._running

    def queued(self) -> Counter[str]:
        """Requests that wait for a call, by signature."""
        counts: Counter[str] = Counter()
        for (signature, *_), queue in self._queues.items():
            counts[signature] += len(queue)
        return counts

    async def run(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None = None) -> Arrays:
        """Runs a request, alone or with others.

        Raises:
            ServingError: What the call raises for this request; UNAVAILABLE when too many wait.
        """
        rows = _rows(inputs)
        key = _kind(signature, inputs, outputs)
        if rows is None or rows > self._options.max_batch_size or key in self._unlike:
            return await self.alone(signature, inputs, outputs)
        queue = self._queues.get(key)
        started = queue is not None
        if queue is None:
            queue = self._queues[key] = RowQueue(self._options)
        if queue.full:
            raise ServingError("UNAVAILABLE", f"{_FULL}; {queue.rows} rows wait")
        request = Waiting(inputs, rows, asyncio.get_running_loop().create_future())
        queue.put(request)
        if not started:
            self._start(self._drain(key, queue, signature, outputs))
        return await request.result

    async def alone(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None = None) -> Arrays:
        """Runs a request in a call of its own, which goes on to its end even if nobody waits for it any more."""
        request = Waiting(inputs, 0, asyncio.get_running_loop().create_future())
        self._start(self._answer([request], signature, outputs))
        return await request.result

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Gives up what runs and what waits."""
        for each in list(self._running):
            each.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _drain(self, key: Any, queue: RowQueue, signature: str, outputs: Sequence[str] | None) -> None:
        """Runs what waits, batch after batch, until nothing does."""
        try:
            while batch := queue.take():
                self._observe(signature, batch)
                if not await self._answer(batch, signature, outputs):
                    self._unlike.add(key)
        finally:
            self._queues.pop(key, None)
            while left := queue.take():  # only where the server stops
                _fail(left, ServingError("UNAVAILABLE", "the server is stopping"))

    def _observe(self, signature: str, batch: list[Waiting]) -> None:
        if self._observer is None:
            return
        now = monotonic()
        self._observer.observe_batch(signature, sum(each.rows for each in batch))
        for each in batch:
            self._observer.observe_wait(signature, now - each.since)

    async def _answer(self, batch: list[Waiting], signature: str, outputs: Sequence[str] | None) -> bool:
        """Answers the requests of a batch; False if their outputs could not be told apart."""
        rows = sum(each.rows for each in batch)
        size = self._options.padded(rows)
        try:
            results = await self._call(signature, concatenated(batch, size - rows), outputs)
        except ServingError as error:
            if len(batch) > 1 and error.code not in _OF_ALL:
                middle = len(batch) // 2
                halves = batch[:middle], batch[middle:]
                return all([await self._answer(half, signature, outputs) for half in halves])
            _fail(batch, error)
            return True
        except asyncio.CancelledError:
            _fail(batch, ServingError("UNAVAILABLE", "the server is stopping"))
            raise
        except Exception as error:
            _fail(batch, ServingError("INTERNAL", f"{type(error).__name__}: {error}"))
            return True
        if len(batch) == 1 and size == rows:
            _resolve(batch[0], results)
            return True
        if type(results) is not dict:
            results = await asyncio.to_thread(dict, results)  # long ones are read as they are asked for
        parts = split(results, batch, size)
        if parts is None:
            for each in batch:
                each.rows = 0  # as it is, with nothing to cut off
                await self._answer([each], signature, outputs)
            return False
        for request, part in zip(batch, parts):
            _resolve(request, part)
        return True


# The process is gone or did not answer: nobody's inputs are known to be at fault, and none is sent again.
_OF_ALL = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


def _rows(inputs: Arrays) -> int | None:
    rows = None
    for each in inputs.values():
        if each.ndim == 0 or rows not in (None, len(each)):
            return None
        rows = len(each)
    return rows


def _kind(signature: str, inputs: Arrays, outputs: Sequence[str] | None) -> Any:
    rows = tuple([(name, each.dtype, each.shape[1:]) for name, each in inputs.items()])
    return signature, rows, None if outputs is None else tuple(outputs)


def _fail(batch: list[Waiting], error: ServingError) -> None:
    for each in batch:
        if not each.result.done():
            each.result.set_exception(ServingError(error.code, error.message))


def _resolve(request: Waiting, results: Arrays) -> None:
    if not request.result.done():
        request.result.set_result(results)
