"""create_grpc_server: the services on a port."""

from __future__ import annotations

from typing import Any

import grpc

from tfkit_serving.access import Gate
from tfkit_serving.offload import Offload
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rpc.access import KeyInterceptor
from tfkit_serving.rpc.health import Health
from tfkit_serving.rpc.management import model_service
from tfkit_serving.rpc.options import RpcOptions
from tfkit_serving.rpc.prediction import prediction_service
from tfkit_serving.rpc.profiler import profiler_service

_DEFAULTS = RpcOptions()


class RpcServer:
    """A gRPC server: listens from `start` to `stop`."""

    def __init__(self, server: Any, health: Health | None, offload: Offload) -> None:
        self._server, self._health, self._offload = server, health, offload

    async def start(self) -> None:
        """Takes requests."""
        await self._server.start()

    async def stop(self, grace: float | None = None) -> None:
        """Takes no new requests, and lets those in flight finish.

        Args:
            grace: How many seconds they may take; None for none.
        """
        if self._health is not None:
            self._health.leave()  # otherwise whoever watches it is waited for
        await self._server.stop(grace)
        await self._offload.close()

    async def wait_for_termination(self) -> None:
        """Returns when it has stopped."""
        await self._server.wait_for_termination()


def create_grpc_server(
    core: Any,
    address: str,
    options: RpcOptions = _DEFAULTS,
    router: Any = None,
    offload: Offload | None = None,
    gate: Gate | None = None,
) -> tuple[RpcServer, int]:
    """The gRPC server over a core of servables, bound and not yet started. Takes a running loop.

    Args:
        core: Has `servable(spec)`, `servables()`, `status(name, version=None)` and `reload(config)`.
        address: Host and port, such as "0.0.0.0:8500"; port 0 for one that is free.
        options: Bounds and certificates.
        router: Has `servable(spec)` for requests that run a version; None for the core's.
        offload: Who answers long requests; None for workers of its own, which end with it.
        gate: Who lets calls in by their keys; None lets in all.

    Returns:
        The server and its port.

    Raises:
        ServingError: UNAVAILABLE: the address cannot be bound, or certificate and key are none.
            INVALID_ARGUMENT: one of certificate and key is missing.

    Example:
        >>> server, port = create_grpc_server(core, "127.0.0.1:0")  # doctest: +SKIP
        >>> await server.start()  # doctest: +SKIP
    """
    bound, own = options.max_message_bytes, Offload()
    arguments = {
        "grpc.max_receive_message_length": bound,
        "grpc.max_send_message_length": bound,
        "grpc.so_reuseport": 0,  # a second server on the port is an error, not a lottery
        **dict(options.channel_arguments),
    }
    server = grpc.aio.server(
        interceptors=None if gate is None else [KeyInterceptor(gate)],
        options=list(arguments.items()),
    )
    prediction = prediction_service(core, router, offload or own, gate, content=options.tensor_content)
    server.add_generic_rpc_handlers((prediction, model_service(core, gate)))
    if options.profiler:
        server.add_generic_rpc_handlers((profiler_service(core),))
    health = Health() if options.health else None
    if health is not None:
        server.add_generic_rpc_handlers((health.handler(),))
    return RpcServer(server, health, own), _bind(server, address, options)


def _bind(server: Any, address: str, options: RpcOptions) -> int:
    credentials = _credentials(options)
    if options.socket_path is not None:
        _listen(server, f"unix:{options.socket_path}", credentials)
    return _listen(server, address, credentials)


def _listen(server: Any, address: str, credentials: Any) -> int:
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError as error:
        cause = "is the port in use?" if credentials is None else "is the port in use, or are key and certificate none?"
        raise ServingError("UNAVAILABLE", f"gRPC could not listen on {address}: {error}; {cause}") from error


def _credentials(options: RpcOptions) -> Any:
    key, certificate = options.ssl_key, options.ssl_certificate
    if key is None and certificate is None:
        return None
    if key is None or certificate is None:
        missing = "server_key" if key is None else "server_cert"
        raise ServingError("INVALID_ARGUMENT", f"TLS takes a key and a certificate; {missing} is missing")
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=options.ssl_client_ca,
        require_client_auth=options.ssl_require_client,
    )
