"""RpcOptions: what the gRPC server offers, its bounds and its certificates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RpcOptions:
    """How gRPC is served.

    Attributes:
        health: Whether grpc.health.v1.Health is answered.
        max_message_bytes: Largest request and largest response.
        ssl_key: The server's private key, PEM; None for no TLS.
        ssl_certificate: Its certificate chain, PEM.
        ssl_client_ca: Certificates that clients' are checked against, PEM; None for the system's.
        ssl_require_client: Whether clients must show a certificate.
        socket_path: A socket file to listen on, too, or None.
        channel_arguments: Arguments of gRPC's own, by name.
        tensor_content: Whether Predict is answered with tensors in raw bytes.
        profiler: Whether tensorflow.ProfilerService is answered.
    """

    health: bool = False
    max_message_bytes: int = (1 << 31) - 1
    ssl_key: bytes | None = None
    ssl_certificate: bytes | None = None
    ssl_client_ca: bytes | None = None
    ssl_require_client: bool = False
    socket_path: str | None = None
    channel_arguments: tuple[tuple[str, int | str], ...] = ()
    tensor_content: bool = False
    profiler: bool = True
