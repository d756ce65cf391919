"""Address: where a server listens, and what it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Transport = Literal["rest", "grpc"]

_PORTS = {"http": 80, "https": 443, "grpc": 8500, "grpcs": 8500}
_OWN_PORTS = {"rest": 8501, "grpc": 8500}
_FORMS = "give it as http://host:8501, https://host/prefix, grpc://host:8500 or host:port"


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        transport: "rest" or "grpc".
        host: Its name or number; IPv6 without brackets.
        port: Its port.
        tls: Whether the connection is encrypted.
        prefix: A path before /v1/, such as a reverse proxy's; "" for none.
    """

    transport: Transport
    host: str
    port: int
    tls: bool = False
    prefix: str = ""

    @property
    def netloc(self) -> str:
        """Host and port.

        Example:
            >>> Address("grpc", "::1", 8500).netloc
            '[::1]:8500'
        """
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        scheme = "http" if self.transport == "rest" else "grpc"
        return f"{scheme}{'s' if self.tls else ''}://{self.netloc}{self.prefix}"


def parse_address(url: str, transport: str | None = None) -> Address:
    """Reads a server's URL.

    Args:
        url: "http://host:8501", "https://host/prefix", "grpc://host:8500", "grpcs://…" or "host:port". Where gRPC is
            asked for, http and https say whether it is encrypted. Without a scheme, the port is the server's own: 8501
            of REST, 8500 of gRPC.
        transport: "rest" or "grpc"; None for what the scheme says, REST where it says nothing.

    Raises:
        ValueError: It is no such URL, or the transport is not known or not the scheme's.

    Example:
        >>> str(parse_address("localhost", "grpc")), str(parse_address("https://example.org/models/"))
        ('grpc://localhost:8500', 'https://example.org:443/models')
    """
    if transport not in (None, "rest", "grpc"):
        raise ValueError(f'the transport must be "rest" or "grpc"; got {transport!r}')
    if not isinstance(url, str):
        raise ValueError(f"{url!r} is no server's address: {_FORMS}")
    scheme, separator, _ = url.partition("://")
    parts = urlsplit(url if separator else f"//{url}")
    scheme = scheme if separator else ""
    if scheme not in (*_PORTS, "") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} is no server's address: {_FORMS}")
    spoken = _transport(url, scheme, transport)
    prefix = parts.path.rstrip("/")
    if "/v1/" in f"{prefix}/":
        raise ValueError(f"{url!r} is a model's URL: give the server's alone, and the model's name to each call")
    if prefix and spoken == "grpc":
        raise ValueError(f"{url!r} has a path, and gRPC takes none: {_FORMS}")
    port = _port(url, parts.netloc, _PORTS[scheme] if scheme else _OWN_PORTS[spoken])
    return Address(spoken, parts.hostname, port, scheme in ("https", "grpcs"), prefix)


def _transport(url: str, scheme: str, transport: str | None) -> Transport:
    if scheme.startswith("grpc"):
        if transport == "rest":
            raise ValueError(f'{url!r} is gRPC, and the transport "rest" was asked for: leave out one of the two')
        return "grpc"
    return "grpc" if transport == "grpc" else "rest"


def _port(url: str, netloc: str, otherwise: int) -> int:
    _, colon, digits = netloc.rpartition("]")[2].partition(":")
    if not colon:
        return otherwise
    if not digits.isascii() or not digits.isdigit() or not 0 < int(digits[:6]) < 1 << 16:
        raise ValueError(f"{url!r} has no port's number after its colon: {_FORMS}")
    return int(digits)
