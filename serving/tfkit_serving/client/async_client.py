"""AsyncClient: asks a model server with asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np

from tfkit_serving.client.exchange import Call, Deadline, Request, next_wait, waits
from tfkit_serving.client.metadata import ModelMetadata
from tfkit_serving.client.replies import Classification
from tfkit_serving.client.settings import Settings, model_spec
from tfkit_serving.client.tls import Path
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.status import VersionStatus

T = TypeVar("T")


class _Connections(Protocol):
    async def send(self, request: Request, deadline: Deadline) -> bytes:
        """Sends a request and returns the reply's body."""

    async def close(self) -> None:
        """Closes what is open."""


class AsyncClient:
    """What `Client` is, for asyncio: the same arguments, methods and errors, and any number of calls at once.

    One belongs to the event loop that first uses it. A call that is cancelled ends its request.

    Args:
        url: As `Client`'s.
        transport: As `Client`'s.
        timeout: As `Client`'s.
        retries: As `Client`'s.
        headers: As `Client`'s.
        authority: As `Client`'s.
        certificate: As `Client`'s.
        api_key: As `Client`'s.

    Raises:
        ValueError: An argument is wrong.

    Example:
        >>> async with AsyncClient("http://localhost:8501") as client:  # doctest: +SKIP
        ...     await asyncio.gather(*(client.predict("half_plus_two", [[x]]) for x in range(100)))
    """

    def __init__(
        self,
        url: str,
        *,
        transport: str | None = None,
        timeout: float | None = 10.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        authority: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        api_key: str | None = None,
    ) -> None:
        self._settings = Settings.make(url, transport, timeout, retries, headers, authority, certificate, api_key)
        self._calls = self._settings.calls()
        self._connections = _connect(self._settings)
        self._is_closed = False

    async def predict(
        self,
        model: str,
        inputs: Any,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """As `Client.predict`."""
        return await self._run(self._calls.predict(model_spec(model, version, label), inputs, signature))

    async def classify(
        self,
        model: str,
        examples: Iterable[Any],
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Any = None,
    ) -> list[list[Classification]]:
        """As `Client.classify`."""
        return await self._run(self._calls.classify(model_spec(model, version, label), examples, context, signature))

    async def regress(
        self,
        model: str,
        examples: Iterable[Any],
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Any = None,
    ) -> np.ndarray:
        """As `Client.regress`."""
        return await self._run(self._calls.regress(model_spec(model, version, label), examples, context, signature))

    async def metadata(self, model: str, version: int | None = None, label: str | None = None) -> ModelMetadata:
        """As `Client.metadata`."""
        return await self._run(self._calls.metadata(model_spec(model, version, label)))

    async def status(self, model: str, version: int | None = None, label: str | None = None) -> list[VersionStatus]:
        """As `Client.status`."""
        return await self._run(self._calls.status(model_spec(model, version, label)))

    async def ready(self) -> bool:
        """As `Client.ready`."""
        try:
            return await self._run(self._calls.ready(), retries=0)
        except ServingError:
            return False

    async def reload(self, config: Any) -> None:
        """As `Client.reload`."""
        await self._run(self._calls.reload(config))

    async def close(self) -> None:
        """Closes its connections; further calls are refused."""
        self._is_closed = True
        await self._connections.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, call: Call[T], retries: int | None = None) -> T:
        if self._is_closed:
            raise ServingError("CANCELLED", f"the client of {self._settings.address} is closed; make another")
        deadline = self._settings.deadline()
        count = self._settings.retries if retries is None else retries
        with contextlib.closing(call):
            try:
                request = next(call)
                while True:
                    try:
                        reply = await self._send(request, deadline, waits(count))
                    except ServingError as error:
                        request = call.throw(error)
                    else:
                        request = call.send(reply)
            except StopIteration as end:
                return end.value

    async def _send(self, request: Request, deadline: Deadline, pending: Iterator[float]) -> bytes:
        while True:
            try:
                return await self._connections.send(request, deadline)
            except ServingError as error:
                wait = next_wait(error, pending, deadline)
            await asyncio.sleep(wait)


def _connect(settings: Settings) -> _Connections:
    if settings.address.transport == "grpc":
        from tfkit_serving.client.grpc_channels import AsyncGrpcChannel

        return AsyncGrpcChannel(settings.address, settings.headers, settings.tls)
    from tfkit_serving.client.http_async import AsyncHttpConnections

    return AsyncHttpConnections(settings.address, settings.headers, settings.tls_context())
