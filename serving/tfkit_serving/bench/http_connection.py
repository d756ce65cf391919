"""A bare HTTP/1.1 client connection: a request is one write, an answer one search for its length."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter_ns
from typing import Any

from tfkit_serving.bench.loops import ClosedLoop, OpenLoop
from tfkit_serving.bench.plan import Plan
from tfkit_serving.bench.target import unchecked_tls

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_SHOWN = 160


class HttpConnection(asyncio.Protocol):
    """Sends POST requests one after another on a connection that is kept, and made again when it breaks."""

    def __init__(self, plan: Plan, loop: ClosedLoop | OpenLoop) -> None:
        self._plan, self._loop, self._record = plan, loop, loop.record
        self._head = _head(plan)
        self._transport: Any = None
        self._buffer = b""
        self._due: int | None = None
        self._sent = 0
        self._closed = False
        self._lost = asyncio.Event()
        self._pause = _FIRST_PAUSE
        self._connecting: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Connects, again and again until it works or the load is over."""
        plan = self._plan
        while not self._closed and perf_counter_ns() < self._record.end:
            try:
                await asyncio.wait_for(
                    asyncio.get_running_loop().create_connection(
                        lambda: self, plan.host, plan.port, ssl=unchecked_tls() if plan.tls else None
                    ),
                    plan.timeout,
                )
                return
            except (OSError, asyncio.TimeoutError) as error:
                self._record.error(perf_counter_ns(), f"cannot connect: {_words(error)}")
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def send(self, body: bytes, due: int) -> None:
        """Writes a request."""
        self._due, self._sent = due, perf_counter_ns()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def expire(self, now: int) -> None:
        """Gives a request up that has had no answer in time; its connection is of no use any more."""
        if self._due is not None and now - self._sent > self._plan.timeout * 1e9:
            self._fail(f"no answer within {self._plan.timeout:g} s")
            self._transport.abort()

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._due is not None

    async def close(self) -> None:
        """Closes for good."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()
            await asyncio.wait_for(self._lost.wait(), 1.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport, self._buffer, self._pause = transport, b"", _FIRST_PAUSE
        self._lost.clear()
        self._loop.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._lost.set()
        if self._due is not None:
            self._fail("connection closed before the answer was whole" if self._buffer else "connection closed")
        if not self._closed:
            self._connecting = asyncio.get_running_loop().create_task(self.connect())

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or not _is_whole(buffer, end):
            self._buffer = buffer
            return
        self._buffer = b""
        self._answered(buffer, end)

    def _answered(self, buffer: bytes, end: int) -> None:
        due, self._due = self._due, None
        if due is None:
            self._transport.abort()
            return
        if buffer[9:10] == b"2":
            self._record.answer(due, perf_counter_ns())
        else:
            text = buffer[end + 4 : end + 4 + _SHOWN].decode("utf-8", "replace")
            self._record.error(due, f"HTTP {buffer[9:12].decode('ascii', 'replace')}: {' '.join(text.split())}")
        if _CLOSES.search(buffer, 0, end):
            self._transport.abort()
        else:
            self._loop.free(self)

    def _fail(self, kind: str) -> None:
        due, self._due = self._due, None
        if due is not None:
            self._record.error(due, kind)


def _is_whole(buffer: bytes, end: int) -> bool:
    length = _LENGTH.search(buffer, 0, end + 2)
    if length is not None:
        return len(buffer) >= end + 4 + int(length[1])
    return buffer.endswith(b"0\r\n\r\n") if _CHUNKED.search(buffer, 0, end + 2) else True


def _head(plan: Plan) -> bytes:
    lines = [f"POST {plan.path} HTTP/1.1", f"Host: {plan.host}:{plan.port}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in plan.headers]
    return ("\r\n".join(lines) + "\r\nContent-Length: ").encode()


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
