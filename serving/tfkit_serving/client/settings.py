"""Settings: what both clients are made with."""

from __future__ import annotations

import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from tfkit_serving.client.address import Address, parse_address
from tfkit_serving.client.calls import Calls
from tfkit_serving.client.exchange import Deadline
from tfkit_serving.client.tls import Path, Tls
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec


@dataclass(frozen=True)
class Settings:
    """Where a client asks, and how.

    Attributes:
        address: The server.
        timeout: Seconds that a call may take.
        retries: How often a request is sent again.
        headers: Header lines, or metadata, of every request.
        tls: Certificates; None without encryption.
    """

    address: Address
    timeout: float
    retries: int
    headers: Mapping[str, str]
    tls: Tls | None

    @classmethod
    def make(
        cls,
        url: str,
        transport: str | None,
        timeout: float,
        retries: int,
        headers: Mapping[str, str] | None,
        authority: Path | None,
        certificate: tuple[Path, Path] | None,
    ) -> Settings:
        """Checks a client's arguments.

        Raises:
            ValueError: One of them is wrong; says which and why.
        """
        address = parse_address(url, transport)
        if not (timeout > 0 and math.isfinite(timeout)):
            raise ValueError(f"timeout must be a number of seconds > 0; got {timeout!r}")
        if not (isinstance(retries, int) and retries >= 0):
            raise ValueError(f"retries must be an int >= 0; got {retries!r}")
        if not address.tls and (authority is not None or certificate is not None):
            raise ValueError(f"{url!r} is not encrypted, so certificates mean nothing: use https:// or grpcs://")
        tls = Tls(authority, certificate) if address.tls else None
        return cls(address, float(timeout), retries, dict(headers or {}), tls)

    def calls(self) -> Calls:
        """The calls in the words of the server's protocol."""
        if self.address.transport == "grpc":
            from tfkit_serving.client.grpc_words import GrpcWords

            return Calls(GrpcWords())
        from tfkit_serving.client.rest_words import RestWords

        return Calls(RestWords(self.address.prefix))

    def tls_context(self) -> ssl.SSLContext | None:
        """How Python's sockets encrypt; None where they do not.

        Raises:
            ValueError: A certificate's file cannot be read.
        """
        return None if self.tls is None else self.tls.context()

    def deadline(self) -> Deadline:
        """Of a call that begins now."""
        return Deadline(self.timeout, str(self.address))


def model_spec(model: str, version: int | None, label: str | None) -> ModelSpec:
    """Whom a call is for.

    Raises:
        ServingError: INVALID_ARGUMENT: there is no name, both a version and a label, or no such version.
    """
    if not isinstance(model, str) or not model:
        raise ServingError("INVALID_ARGUMENT", f"the model's name must be a string, and not empty; got {model!r}")
    if version is not None and label is not None:
        raise ServingError("INVALID_ARGUMENT", f"give a version or a label, not both; got {version!r} and {label!r}")
    if version is not None and (isinstance(version, bool) or int(version) < 0):
        raise ServingError("INVALID_ARGUMENT", f"a version is an int of 0 or more; got {version!r}")
    return ModelSpec(model, None if version is None else int(version), label)
