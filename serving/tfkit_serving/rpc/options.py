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
    """

    health: bool = False
    max_message_bytes: int = (1 << 31) - 1
    ssl_key: bytes | None = None
    ssl_certificate: bytes | None = None
    ssl_client_ca: bytes | None = None
    ssl_require_client: bool = False
