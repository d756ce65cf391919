"""create_grpc_server: the services on a port."""

from __future__ import annotations

from typing import Any

import grpc

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rpc.health import Health
from tfkit_serving.rpc.management import model_service
from tfkit_serving.rpc.options import RpcOptions
from tfkit_serving.rpc.prediction import prediction_service

_DEFAULTS = RpcOptions()


class RpcServer:
    """A gRPC server: listens from `start` to `stop`."""

    def __init__(self, server: Any, health: Health | None) -> None:
        self._server, self._health = server, health

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

    async def wait_for_termination(self) -> None:
        """Returns when it has stopped."""
        await self._server.wait_for_termination()


def create_grpc_server(core: Any, address: str, options: RpcOptions = _DEFAULTS) -> tuple[RpcServer, int]:
    """The gRPC server over a core of servables, bound and not yet started. Takes a running loop.

    Args:
        core: Has `servable(spec)`, `status(name, version=None)` and `reload(config)`.
        address: Host and port, such as "0.0.0.0:8500"; port 0 for one that is free.
        options: Bounds and certificates.

    Returns:
        The server and its port.

    Raises:
        ServingError: UNAVAILABLE: the address cannot be bound, or certificate and key are none.
            INVALID_ARGUMENT: one of certificate and key is missing.

    Example:
        >>> server, port = create_grpc_server(core, "127.0.0.1:0")  # doctest: +SKIP
        >>> await server.start()  # doctest: +SKIP
    """
    bound = options.max_message_bytes
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", bound),
            ("grpc.max_send_message_length", bound),
            ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a lottery
        ]
    )
    server.add_generic_rpc_handlers((prediction_service(core), model_service(core)))
    health = Health() if options.health else None
    if health is not None:
        server.add_generic_rpc_handlers((health.handler(),))
    return RpcServer(server, health), _bind(server, address, options)


def _bind(server: Any, address: str, options: RpcOptions) -> int:
    credentials = _credentials(options)
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
