"""What surrounds every request: an id, a bound on its body, keys, the log and the metrics. Plain ASGI."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tfkit_serving.access import Gate, Key, Refused
from tfkit_serving.gateway.logs import Exchange, RequestLog
from tfkit_serving.gateway.metrics import GatewayMetrics
from tfkit_serving.gateway.options import GatewayOptions
from tfkit_serving.gateway.problem import Problem
from tfkit_serving.gateway.task import RESERVED

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

NOTES = "tfkit.notes"
_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass
class Notes:
    """What is found out about a request on its way; it lies in the scope.

    Attributes:
        request_id: Its id.
        key: The API key's entry, or None.
        version: The version that answered, or None.
        error: What went wrong, or None.
        status: The answer's status; 0 until it began.
        body_bytes: Length of its body.
    """

    request_id: str
    key: Key | None = None
    version: int | None = None
    error: str | None = None
    status: int = 0
    body_bytes: int = 0


class Envelope:
    """Wraps the application.

    Args:
        application: What answers.
        tasks: Names of the tasks: their paths need a key and are bounded in number.
        options: Bounds and keys.
        metrics: Where requests are counted.
        log: Where they are written.
    """

    def __init__(
        self,
        application: Application,
        tasks: frozenset[str],
        options: GatewayOptions,
        metrics: GatewayMetrics,
        log: RequestLog,
    ) -> None:
        self._application = application
        self._tasks = tasks
        self._options = options
        self._metrics = metrics
        self._log = log
        self._gate = None
        if options.keys is not None:
            self._gate = Gate(options.keys, lambda reason: metrics.refused.add((reason,)))
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one connection's request; what is no HTTP goes on as it is."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began, headers = time.perf_counter(), dict(scope["headers"])
        notes = scope[NOTES] = Notes(_request_id(headers))
        try:
            await self._guarded(scope, receive, _with_id(send, notes), headers, notes)
        finally:
            self._close(scope, headers, notes, time.perf_counter() - began)

    async def _guarded(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], notes: Notes
    ) -> None:
        task = _first(scope["path"])
        try:
            if task in self._tasks:
                self._check_key(task, headers, notes)
                if scope["method"] == "POST":
                    self._check_form(headers)
            if self._busy >= self._options.max_concurrent:
                raise self._refuse("busy", 503, "the gateway answers as many requests as it may: try again", 1.0)
        except Problem as problem:
            await self._tell(problem, scope, receive, send, notes)
            return
        self._busy += 1
        self._metrics.in_flight.add((), 1)
        try:
            body = await self._body(receive, headers, notes)
            await self._application(scope, _replay(body, receive), send)
        except Problem as problem:
            await self._tell(problem, scope, receive, send, notes)
        finally:
            self._busy -= 1
            self._metrics.in_flight.add((), -1)

    def _check_key(self, task: str, headers: dict[bytes, bytes], notes: Notes) -> None:
        if self._gate is None:
            return
        try:
            notes.key = key = self._gate.admit(headers.items())
            self._gate.check(key, task)
            self._gate.pace(key)
        except Refused as refused:
            raise Problem(refused.http_status, refused.message, retry_after=refused.retry_after) from None

    def _check_form(self, headers: dict[bytes, bytes]) -> None:
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding != b"identity":
            raise self._refuse("encoding", 415, f"a body in {_shown(encoding)} is not taken: send it as it is")
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json" and not kind.endswith(b"+json"):
            got = f"; got {_shown(kind)}" if kind else ""
            raise self._refuse("content type", 415, f"a request takes the header Content-Type: application/json{got}")

    def _refuse(self, reason: str, status: int, detail: str, retry_after: float | None = None) -> Problem:
        self._metrics.refused.add((reason,))
        return Problem(status, detail, retry_after=retry_after)

    async def _body(self, receive: Receive, headers: dict[bytes, bytes], notes: Notes) -> bytes:
        """The whole body, within its bounds; read here, since behind it an error would be taken for bad JSON."""
        most = self._options.max_body_bytes
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise self._refuse("too large", 413, f"the body has {int(length)} bytes, and {most} are taken")
        try:
            body = await asyncio.wait_for(_read(receive, most), self._options.body_timeout)
        except (TimeoutError, asyncio.TimeoutError):
            seconds = self._options.body_timeout
            raise self._refuse("slow", 408, f"the body did not arrive within {seconds:g} seconds") from None
        if body is None:
            raise self._refuse("too large", 413, f"the body has more than the {most} bytes that are taken")
        notes.body_bytes = len(body)
        return body

    async def _tell(self, problem: Problem, scope: Scope, receive: Receive, send: Send, notes: Notes) -> None:
        notes.error = problem.detail
        more = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
        if problem.status in (408, 413):
            more["Connection"] = "close"
        await problem.response(notes.request_id, more)(scope, receive, send)

    def _route(self, path: str) -> str:
        """The route's path; "other" for what is none, so that made-up paths make no metrics."""
        first, _, rest = path.strip("/").partition("/")
        if first in self._tasks:
            return f"/{first}" if not rest else f"/{first}/feedback" if rest == "feedback" else "other"
        return path if path.strip("/") in RESERVED else "other"

    def _close(self, scope: Scope, headers: dict[bytes, bytes], notes: Notes, seconds: float) -> None:
        # A caller who left before the answer began has no status: 499, as nginx logs it.
        status = notes.status or 499
        route, client, task = self._route(scope["path"]), scope.get("client"), _first(scope["path"])
        self._metrics.requests.add((route, str(status)))
        self._metrics.latency.observe((route,), seconds)
        if status < 400 and scope["path"].strip("/") in RESERVED:
            return  # probes and scrapes come every few seconds, and say nothing
        self._log.write(
            Exchange(
                scope["method"], scope["path"], status, seconds, notes.request_id,
                trace_id=_trace_id(headers),
                client=client[0] if client else None,
                user=notes.key.name if notes.key else None,
                task=task if task in self._tasks else None,
                version=notes.version,
                error=notes.error,
                request_bytes=notes.body_bytes,
            )
        )  # fmt: skip
        self._metrics.log_lost.set((), self._log.lost)


def _shown(header: bytes) -> str:
    return header[:60].decode("ascii", "replace")


def _first(path: str) -> str:
    return path.strip("/").split("/", 1)[0]


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body; None if it is too long. A caller who left has sent what there is."""
    parts, length, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > most:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, then whatever else comes."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


def _with_id(send: Send, notes: Notes) -> Send:
    """Notes the status, and sends the request's id with it."""

    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            notes.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", notes.request_id.encode())]
        await send(message)

    return noted


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own id where it is one that a log and a header can hold, else a new one."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


def _trace_id(headers: dict[bytes, bytes]) -> str | None:
    """The trace's id of W3C's traceparent, or None."""
    found = _TRACE.fullmatch(headers.get(b"traceparent", b"").decode("latin-1"))
    return found.group(1) if found else None
