"""The REST server as an ASGI application: TensorFlow Serving's API below /v1/, and pages of our own beside it."""

from __future__ import annotations

import json
import logging
from collections.abc import Coroutine
from dataclasses import replace
from time import perf_counter
from typing import Any, TypeAlias

from tfkit_serving.access import Gate, Key
from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.offload import Offload, TooLong
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest import pages
from tfkit_serving.rest.answers import Answer, Body, error_answer, page
from tfkit_serving.rest.body import BodyRefused, ClientGone, read_body, while_there
from tfkit_serving.rest.calls import Calls, Record
from tfkit_serving.rest.cors import CORS, CORS_WITH_KEY, preflight
from tfkit_serving.rest.observer import Observer
from tfkit_serving.rest.offloaded import OffloadedCalls
from tfkit_serving.rest.openapi import SECURITY, openapi
from tfkit_serving.rest.options import RestOptions
from tfkit_serving.rest.routes import BadVersion, Call, is_api, is_target, parse_route
from tfkit_serving.routing import STICKY_HEADER
from tfkit_serving.servables.requests import ModelSpec

Scope: TypeAlias = "dict[str, Any]"

_METHODS = frozenset(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
# With these a request goes the long way: its body or its answer is not plain.
_SPECIAL = frozenset((b"content-encoding", b"transfer-encoding", b"expect", b"upgrade", b"x-request-id"))
_STICKY = STICKY_HEADER.lower().encode()
_KNOWN_PATHS, _LONG_PATH = 1000, 200
_DEFAULTS = RestOptions()
_logger = logging.getLogger("tfkit_serving.rest")


def create_app(
    core: Any,
    options: RestOptions = _DEFAULTS,
    router: Any = None,
    offload: Offload | None = None,
    gate: Gate | None = None,
) -> RestApp:
    """The REST server over a core of servables.

    Args:
        core: has `servable(spec)` and `status(name, version=None)`.
        options: bounds, pages, log.
        router: has `servable(spec)` for requests that run a version; None for the core's.
        offload: who answers long requests; None for workers of its own, which end with the application's lifespan.
        gate: who lets requests in by their keys; None lets in all.

    Returns:
        An ASGI application for uvicorn or any other server. The request log is opened at once and closed at the end of
        the application's lifespan.
    """
    return RestApp(core, options, router, offload, gate)


class RestApp:
    """See `create_app`."""

    def __init__(
        self, core: Any, options: RestOptions, router: Any, offload: Offload | None, gate: Gate | None
    ) -> None:
        self._core = core
        self._options = options
        self._gate = gate
        self._calls = Calls(core, options.max_depth, router)
        self._own_offload = Offload()
        self._offloaded = OffloadedCalls(offload or self._own_offload, options.max_depth)
        self._is_routed = router is not None
        self._special = _SPECIAL | {_STICKY} if router is not None else _SPECIAL
        self._observer = Observer(options)
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
                await self._own_offload.close()
                self._observer.close()
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
        identifier = self._observer.identify(scope)
        self._observer.count(answer, record, seconds)
        headers = [(b"content-type", answer.content_type), (b"content-length", b"%d" % len(answer.body))]
        if answer.close:
            headers.append((b"connection", b"close"))
        if identifier:
            headers.append((b"x-request-id", identifier))
        headers += answer.headers
        if self._options.cors:
            headers += CORS if self._gate is None else CORS_WITH_KEY
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        self._observer.write(scope, answer, record, seconds, identifier)

    def direct(self, path: bytes, headers: list[tuple[bytes, bytes]]) -> Call | None:
        """The call of a plain POST, if it can be answered by `answer` without ASGI between.

        Args:
            path: with its query.
            headers: names in lower case.
        """
        call = self._known.get(("POST", path))
        if call is None or self._observer.logs or self._options.cors:
            return None
        for name, value in headers:
            if name in self._special:
                if name != _STICKY:
                    return None
                call = _kept(call, value)
            elif name == b"content-length" and len(value) > 6:
                return None
        if self._gate is not None and not self._gate.lets_in(headers, call.model.name):
            return None  # the long way says why
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
        self._observer.count(answer, record, perf_counter() - started)
        return self._last(answer)

    async def _answer(self, scope: Scope, receive: Any, record: Record) -> Answer:
        try:
            found = self._route(scope, record)
        except ServingError as error:
            return error_answer(error)
        except BadVersion:
            return Answer(400, code="INVALID_ARGUMENT")
        if isinstance(found, Answer):
            return found
        return await self._guarded(self._call(found, record, None, scope, receive))

    def _route(self, scope: Scope, record: Record) -> Call | Answer:
        """The call of a request that is let in, or the answer to one that asks for none."""
        path = scope["raw_path"]
        if scope["query_string"]:
            path += b"?" + scope["query_string"]
        method = scope["method"]
        call = self._known.get((method, path))
        if call is None:
            if not is_api(path):
                return self._own_page(scope, path, record)
            if not is_target(path):
                return page(400)
            if method == "OPTIONS":
                return preflight(scope["headers"])
            if method not in _METHODS:
                return page(501)
        if self._gate is None:
            return call or self._learn(method, path)
        key = self._admit(self._gate, scope, record)  # before a path is learned: they are few
        call = call or self._learn(method, path)
        record.model, record.action = call.model.name, call.action
        self._gate.check(key, call.model.name)
        self._gate.pace(key)
        return call

    def _admit(self, gate: Gate, scope: Scope, record: Record) -> Key:
        key = gate.admit(scope["headers"])
        record.user = key.name
        return key

    async def _guarded(self, work: Coroutine[Any, Any, Body]) -> Answer:
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
    ) -> Body:
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
            call = self._kept_by(scope, call)
        answer = self._inferred(call, record, body, receive)
        if self._options.timeout_seconds is None:
            return await answer
        return await pages.within(self._options.timeout_seconds, answer)

    async def _inferred(self, call: Call, record: Record, body: bytes, receive: Any) -> Body:
        """The answer of a version; another process reads the request and writes the answer where that takes long."""
        try:
            answer: bytes = await getattr(self._calls, call.action)(call.model, body, record)
            return answer
        except TooLong as too_long:
            long = too_long
        return await while_there(receive, self._offloaded.answer(call, body, record, long))

    def _kept_by(self, scope: Scope, call: Call) -> Call:
        key = next((value for name, value in scope["headers"] if name == _STICKY), b"") if self._is_routed else b""
        return _kept(call, key) if key else call

    def _own_page(self, scope: Scope, path: bytes, record: Record) -> Answer:
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
                return Answer(200, json.dumps(self._document(scope, record)).encode())
        if scope["method"] not in _METHODS:
            return page(501)
        return page(404 if is_target(path) else 400)

    def _document(self, scope: Scope, record: Record) -> dict[str, Any]:
        """What OpenAPI says of the models, of those that the caller's key opens."""
        if self._gate is None:
            return openapi(self._core.servables())
        key = self._admit(self._gate, scope, record)
        self._gate.pace(key)
        return openapi(each for each in self._core.servables() if key.may_call(each.name)) | SECURITY

    def _last(self, answer: Answer) -> Answer:
        """The answer, the last one of its connection where the server is to stop."""
        return replace(answer, close=True) if self.draining else answer


def _kept(call: Call, key: bytes) -> Call:
    """The call of a caller that a split keeps on one version."""
    model = call.model
    return Call(ModelSpec(model.name, model.version, model.label, key.decode("latin-1")), call.action)
