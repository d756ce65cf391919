"""GrpcChannel and AsyncGrpcChannel: gRPC requests, waited for or with asyncio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from tfkit_serving.client.address import Address
from tfkit_serving.client.exchange import Deadline, Request
from tfkit_serving.client.tls import Tls
from tfkit_serving.protocol.errors import ServingError

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Like REST's: straight to the server, whatever the environment says of proxies.
    ("grpc.enable_http_proxy", 0),
    # Else a channel that found no server refuses calls for a second and more without looking again.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcChannel:
    """A channel to one server; threads may share it.

    Args:
        address: The server.
        headers: Metadata of every call.
        tls: Certificates; None without encryption.
    """

    def __init__(self, address: Address, headers: Mapping[str, str], tls: Tls | None) -> None:
        self._metadata = _metadata(headers)
        self._channel = _open(grpc, address, _credentials(tls))
        self._methods: dict[str, Any] = {}

    def send(self, request: Request, deadline: Deadline) -> bytes:
        """Makes a call and returns the serialized reply.

        Raises:
            ServingError: What the server or gRPC says.
        """
        method = self._methods.get(request.target)
        if method is None:
            method = self._methods[request.target] = self._channel.unary_unary(request.target)
        try:
            return bytes(method(request.body, timeout=deadline.left(), metadata=self._metadata))
        except grpc.RpcError as error:
            raise _refused(error, deadline) from error

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


class AsyncGrpcChannel:
    """A channel to one server, in one event loop; arguments as `GrpcChannel`'s."""

    def __init__(self, address: Address, headers: Mapping[str, str], tls: Tls | None) -> None:
        self._address, self._credentials = address, _credentials(tls)
        self._metadata = _metadata(headers)
        self._channel: Any = None  # opened in the loop that uses it
        self._methods: dict[str, Any] = {}

    async def send(self, request: Request, deadline: Deadline) -> bytes:
        """As `GrpcChannel.send`."""
        if self._channel is None:
            self._channel = _open(grpc.aio, self._address, self._credentials)
        method = self._methods.get(request.target)
        if method is None:
            method = self._methods[request.target] = self._channel.unary_unary(request.target)
        try:
            return bytes(await method(request.body, timeout=deadline.left(), metadata=self._metadata))
        except grpc.RpcError as error:
            raise _refused(error, deadline) from error

    async def close(self) -> None:
        """Closes the channel."""
        if self._channel is not None:
            await self._channel.close()


def _credentials(tls: Tls | None) -> Any:
    return None if tls is None else grpc.ssl_channel_credentials(*tls.contents())


def _open(module: Any, address: Address, credentials: Any) -> Any:
    if credentials is None:
        return module.insecure_channel(address.netloc, options=_OPTIONS)
    return module.secure_channel(address.netloc, credentials, options=_OPTIONS)


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...] | None:
    return tuple((name.lower(), value) for name, value in headers.items()) or None


def _refused(error: Any, deadline: Deadline) -> ServingError:
    code = error.code().name
    if code == "DEADLINE_EXCEEDED" and not deadline.allows(0):
        return deadline.passed()
    return ServingError(code, error.details() or code)
