"""uvicorn's HTTP protocol with bounds on slow clients and on the size of headers, which it lacks."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_UPGRADE = re.compile(rb"\nupgrade(?=[ \t]*:)", re.IGNORECASE)


class _Direct:
    """A request that is answered without ASGI; where uvicorn looks at its own cycle it finds what it needs here."""

    def __init__(self, call: Any, keep_alive: bool) -> None:
        self.call = call
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.response_complete = False
        self.disconnected = False
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for the body piece by piece."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose request does not arrive in time, and those with headers beyond all measure.

    What a client that has gone asked for is given up.

    Attributes:
        request_seconds: how long a whole request, or the silence before the first, may take to arrive.
        max_header_bytes: the largest head of a request.
    """

    request_seconds = 60.0
    max_header_bytes = 64 << 10

    _since: float | None = None
    _head_bytes = 0
    _in_head = True
    _watch: asyncio.TimerHandle | None = None
    _answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock: a client that connects has to ask."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(self.request_seconds, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock, and what nobody waits for."""
        if self._watch is not None:
            self._watch.cancel()
        if self._answering is not None:
            self._answering.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has sent a whole request and closed its end still gets the answer."""
        if self.cycle is None or self.cycle.response_complete or self._since is not None:
            return False
        if self.transport.get_extra_info("sslcontext") is not None:
            return False  # TLS has no half of a connection
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Count the bytes of the head, and pass them on."""
        if self._in_head:
            self._head_bytes += len(data)
            data = _without_upgrade(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.max_header_bytes:
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        """Tell a client that what it sent is no HTTP, unless it was told what is wrong already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _refuse(self, reply: bytes = _TOO_LARGE) -> None:
        if not self.transport.is_closing():
            self.transport.write(reply)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins, and its time."""
        self._since = self.loop.time()
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        received, self._head_bytes = self._head_bytes, 0
        # What came may be more than the head; a head that came in one piece has not been measured yet.
        if received > self.max_header_bytes and self._head_size() > self.max_header_bytes:
            self._refuse()
            raise ValueError("the head of the request is too large")
        if self.parser.should_upgrade():
            # The parser would take the body for the next request.
            self._refuse(_BAD)
            raise ValueError("the request asks for another protocol")
        call = self._direct_call()
        if call is None:
            super().on_headers_complete()
        else:
            self.cycle = _Direct(call, self.parser.should_keep_alive())  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Gather the body."""
        cycle: Any = self.cycle
        if type(cycle) is _Direct:
            cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: the time it takes to answer is not the client's."""
        self._since = None
        self._in_head = True
        cycle: Any = self.cycle
        if type(cycle) is not _Direct:
            super().on_message_complete()
            return
        self._answering = task = self.loop.create_task(self._answer(cycle))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _direct_call(self) -> Any:
        """The call of a request that needs no ASGI, which is half of what a small one costs; None for all others.

        One whose predecessor on the connection is not answered yet has to wait in uvicorn's queue.
        """
        direct = getattr(self.app, "direct", None)
        if direct is None or not (self.cycle is None or self.cycle.response_complete):
            return None
        if self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        return direct(self.url, self.headers)

    async def _answer(self, cycle: _Direct) -> None:
        answer = await self.app.answer(cycle.call, bytes(cycle.body))
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        if cycle.disconnected or self.transport.is_closing():
            return
        close = answer.close or not cycle.keep_alive
        lines = [STATUS_LINE[answer.status]]
        for name, value in self.server_state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        lines += (b"content-type: ", answer.content_type, b"\r\ncontent-length: %d\r\n" % len(answer.body))
        lines += (b"connection: close\r\n\r\n" if close else b"\r\n", answer.body)
        cycle.response_complete = True
        self.transport.write(b"".join(lines))
        if close:
            self.transport.close()
        self.on_response_complete()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _check(self) -> None:
        """Close the connection if its request is late; else look again when it could be."""
        now = self.loop.time()
        if self._since is not None and now - self._since >= self.request_seconds:
            self.transport.close()
            return
        wait = self.request_seconds if self._since is None else self._since + self.request_seconds - now
        self._watch = self.loop.call_later(wait, self._check)


def _without_upgrade(data: bytes) -> bytes:
    """A head that asks for no other protocol: as in the real server, the wish is ignored, and the body is the body."""
    if b"pgrade" not in data and b"PGRADE" not in data:
        return data
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\nx-upgra", head) + end + rest


def bounded_protocol(request_seconds: float = 60.0, max_header_bytes: int = 64 << 10) -> type[BoundedProtocol]:
    """The protocol class to give to uvicorn's `Config(http=…)`, with its bounds.

    Example:
        >>> bounded_protocol(request_seconds=5).request_seconds
        5
    """
    bounds = {"request_seconds": request_seconds, "max_header_bytes": max_header_bytes}
    return type("BoundedProtocol", (BoundedProtocol,), bounds)
