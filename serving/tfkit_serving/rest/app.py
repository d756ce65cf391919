"""The REST server as an ASGI application: TensorFlow Serving's API below /v1/, and pages of our own beside it."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Coroutine
from dataclasses import replace
from itertools import count
from time import perf_counter, time
from typing import Any, TypeAlias

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest import pages
from tfkit_serving.rest.answers import Answer, error_answer, page
from tfkit_serving.rest.body import BodyRefused, ClientGone, read_body
from tfkit_serving.rest.calls import Calls, Record
from tfkit_serving.rest.openapi import openapi
from tfkit_serving.rest.options import RestOptions
from tfkit_serving.rest.request_log import RequestLog
from tfkit_serving.rest.routes import BadVersion, Call, is_api, is_target, parse_route

Scope: TypeAlias = "dict[str, Any]"

_METHODS = frozenset(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
_PREFLIGHT = b"text/html; charset=ISO-8859-1"
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]
_LONGEST_ID = 128
# With these a request goes the long way: its body or its answer is not plain.
_SPECIAL = frozenset((b"content-encoding", b"transfer-encoding", b"expect", b"upgrade", b"x-request-id"))
_KNOWN_PATHS, _LONG_PATH = 1000, 200
_DEFAULTS = RestOptions()
_logger = logging.getLogger("tfkit_serving.rest")


def create_app(core: Any, options: RestOptions = _DEFAULTS) -> RestApp:
    """The REST server over a core of servables.

    Args:
        core: has `servable(spec)` and `status(name, version=None)`.
        options: bounds, pages, log.

    Returns:
        An ASGI application for uvicorn or any other server. The request log is opened at once and closed at the end of
        the application's lifespan.
    """
    return RestApp(core, options)


class RestApp:
    """See `create_app`."""

    def __init__(self, core: Any, options: RestOptions) -> None:
        self._core = core
        self._options = options
        self._calls = Calls(core, options.max_depth)
        self._log = RequestLog(options.request_log) if options.request_log else None
        self._ids = (f"{random.getrandbits(48):012x}-{number}" for number in count(1))
        self._in_flight = 0
        self.draining = False
        self._known: dict[tuple[str, bytes], Call] = {}
        self._metrics_path = options.metrics_path.encode() if options.metrics_path else None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request, or follow the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._log is not None:
                    self._log.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Any, send: Any) -> None:
        started = perf_counter()
        record = Record()
        self._in_flight += 1
        try:
            answer = self._last(await self._answer(scope, receive, record))
        except ClientGone:
            return
        finally:
            self._in_flight -= 1
        seconds = perf_counter() - started
        identifier = self._identify(scope)
        self._count(answer, record, seconds)
        headers = [(b"content-type", answer.content_type), (b"content-length", b"%d" % len(answer.body))]
        if answer.close:
            headers.append((b"connection", b"close"))
        if identifier:
            headers.append((b"x-request-id", identifier))
        if self._options.cors:
            headers += _CORS
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        if self._log is not None:
            self._write_log(scope, answer, record, seconds, identifier)

    def direct(self, path: bytes, headers: list[tuple[bytes, bytes]]) -> Call | None:
        """The call of a plain POST, if it can be answered by `answer` without ASGI between.

        Args:
            path: with its query.
            headers: names in lower case.
        """
        call = self._known.get(("POST", path))
        if call is None or self._log is not None or self._options.cors:
            return None
        for name, value in headers:
            if name in _SPECIAL or (name == b"content-length" and len(value) > 6):
                return None
        return call

    async def answer(self, call: Call, body: bytes) -> Answer:
        """Answer a call that `direct` gave."""
        started = perf_counter()
        record = Record()
        self._in_flight += 1
        try:
            answer = await self._guarded(self._call(call, record, body))
        finally:
            self._in_flight -= 1
        self._count(answer, record, perf_counter() - started)
        return self._last(answer)

    async def _answer(self, scope: Scope, receive: Any, record: Record) -> Answer:
        path = scope["raw_path"]
        if scope["query_string"]:
            path += b"?" + scope["query_string"]
        method = scope["method"]
        call = self._known.get((method, path))
        if call is None:
            if not is_api(path):
                return self._own_page(scope, path)
            if not is_target(path):
                return page(400)
            if method == "OPTIONS":
                return _preflight(scope)
            if method not in _METHODS:
                return page(501)
            try:
                call = self._learn(method, path)
            except ServingError as error:
                return error_answer(error)
            except BadVersion:
                return Answer(400, code="INVALID_ARGUMENT")
        return await self._guarded(self._call(call, record, None, scope, receive))

    async def _guarded(self, work: Coroutine[Any, Any, bytes]) -> Answer:
        try:
            return Answer(200, await work)
        except ServingError as error:
            return error_answer(error)
        except BodyRefused as refused:
            return error_answer(refused.error, close=True, status=refused.status)
        except ClientGone:
            raise
        except Exception as error:
            _logger.exception("a request failed through a fault of the server")
            return error_answer(
                ServingError("INTERNAL", f"{type(error).__name__} while answering; see the server's log")
            )

    def _learn(self, method: str, path: bytes) -> Call:
        """Parse a path of the API, and keep it if it is one that a client may well ask again."""
        call = parse_route(method, path)
        if len(path) < _LONG_PATH and len(self._known) < _KNOWN_PATHS:
            self._known[method, path] = call
        return call

    async def _call(
        self, call: Call, record: Record, body: bytes | None, scope: Scope | None = None, receive: Any = None
    ) -> bytes:
        """The body of the answer; the request's is read first unless it is there."""
        record.model, record.action = call.model.name, call.action
        if call.action == "status":
            return self._calls.status(call.model, record)
        if call.action == "metadata":
            return self._calls.metadata(call.model, record)
        if self._in_flight > self._options.max_in_flight:
            raise ServingError(
                "UNAVAILABLE", f"{self._options.max_in_flight} requests are being answered (max_in_flight); try again"
            )
        if body is None:
            assert scope is not None
            body = await read_body(receive, scope["headers"], self._options)
        answer: Coroutine[Any, Any, bytes] = getattr(self._calls, call.action)(call.model, body, record)
        if self._options.timeout_seconds is None:
            return await answer
        return await pages.within(self._options.timeout_seconds, answer)

    def _own_page(self, scope: Scope, path: bytes) -> Answer:
        plain = scope["raw_path"]
        if plain == self._metrics_path:
            METRICS.in_flight.set(("REST",), self._in_flight)
            return pages.metrics(path, plain)
        if scope["method"] in ("GET", "HEAD"):
            if plain == b"/healthz":
                return pages.health()
            if plain == b"/readyz":
                return pages.readiness(self._core)
            if plain == b"/openapi.json":
                return Answer(200, json.dumps(openapi(self._core.servables())).encode())
        if scope["method"] not in _METHODS:
            return page(501)
        return page(404 if is_target(path) else 400)

    def _last(self, answer: Answer) -> Answer:
        """The answer, the last one of its connection where the server is to stop."""
        return replace(answer, close=True) if self.draining else answer

    def _identify(self, scope: Scope) -> bytes:
        """The id that the client gave; one of our own if there is a log to find it in."""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and 0 < len(value) <= _LONGEST_ID:
                return bytes(value)
        return next(self._ids).encode() if self._log is not None else b""

    def _count(self, answer: Answer, record: Record, seconds: float) -> None:
        if record.action not in ("predict", "classify", "regress"):
            return
        METRICS.count_request(record.model, answer.code)
        if answer.code == "OK":
            METRICS.observe_latency(record.model, record.action, "REST", seconds * 1e6)
        if record.version is not None:
            METRICS.observe_signature(record.model, record.version, record.signature, answer.code, seconds)

    def _write_log(self, scope: Scope, answer: Answer, record: Record, seconds: float, identifier: bytes) -> None:
        if answer.code == "OK" and random.random() >= self._options.request_log_fraction:
            return
        assert self._log is not None
        self._log.add(
            {
                "time": time(),
                "method": scope["method"],
                "path": scope["raw_path"].decode("latin-1"),
                "model": record.model.encode("utf-8", "replace").decode(),
                "version": record.version,
                "signature": record.signature.encode("utf-8", "replace").decode(),
                "status": answer.status,
                "code": answer.code,
                "latency_ms": round(seconds * 1e3, 3),
                "rows": record.rows,
                "request_id": identifier.decode("latin-1"),
            }
        )


def _preflight(scope: Scope) -> Answer:
    """The real server's answer to OPTIONS: a browser's question from some site, or nothing that it takes."""
    origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
    if b"http://" in origin or b"https://" in origin:
        return Answer(200, content_type=_PREFLIGHT)
    return Answer(400, content_type=_PREFLIGHT, code="FAILED_PRECONDITION")
