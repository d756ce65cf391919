"""Settings: what both clients are made with."""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from tfkit_serving.client.address import Address, parse_address
from tfkit_serving.client.calls import Calls
from tfkit_serving.client.exchange import Deadline
from tfkit_serving.client.tls import Path, Tls
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.requests import ModelSpec

_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Settings:
    """Where a client asks, and how.

    Attributes:
        address: The server.
        timeout: Seconds that a call may take; None without a bound.
        retries: How often a request is sent again.
        headers: Header lines, or metadata, of every request.
        tls: Certificates; None without encryption.
    """

    address: Address
    timeout: float | None
    retries: int
    headers: Mapping[str, str] = field(repr=False)
    tls: Tls | None

    @classmethod
    def make(
        cls,
        url: str,
        transport: str | None,
        timeout: float | None,
        retries: int,
        headers: Mapping[str, str] | None,
        authority: Path | None,
        certificate: tuple[Path, Path] | None,
        api_key: str | None,
    ) -> Settings:
        """Checks a client's arguments.

        Raises:
            ValueError: One of them is wrong; says which and why.
        """
        address = parse_address(url, transport)
        if timeout is not None and not _is_positive(timeout):
            raise ValueError(f"timeout must be a number of seconds > 0, or None for no bound; got {timeout!r}")
        if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
            raise ValueError(f"retries must be an int >= 0; got {retries!r}")
        _check_headers(headers)
        _check_files(authority, certificate)
        if not address.tls and (authority is not None or certificate is not None):
            raise ValueError(f"{url!r} is not encrypted, so certificates mean nothing: use https:// or grpcs://")
        tls = Tls(authority, certificate) if address.tls else None
        seconds = None if timeout is None else float(timeout)
        return cls(address, seconds, retries, {**(headers or {}), **_key_header(api_key, headers or {})}, tls)

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


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and 0 < float(value) <= sys.float_info.max


def _check_headers(headers: Any) -> None:
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise ValueError(f"headers must be a mapping of values by name, both str; got {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ValueError(f"headers must be a mapping of values by name, both str; got an entry of {name!r}")


def _key_header(api_key: Any, headers: Mapping[str, str]) -> dict[str, str]:
    if api_key is None:
        return {}
    if not isinstance(api_key, str) or not _KEY.fullmatch(api_key):
        # Not quoted: errors end up in logs.
        raise ValueError("api_key must be a str of ASCII characters without spaces; a line break at its end, perhaps?")
    if any(name.lower() == "authorization" for name in headers):
        raise ValueError("api_key and the header Authorization say the same: leave out one of them")
    return {"Authorization": f"Bearer {api_key}"}


def _check_files(authority: Any, certificate: Any) -> None:
    if not (authority is None or _is_path(authority)):
        raise ValueError(f"authority must be the path of a PEM file; got {authority!r}")
    is_pair = isinstance(certificate, (tuple, list)) and len(certificate) == 2 and all(map(_is_path, certificate))
    if not (certificate is None or is_pair):
        raise ValueError(f"certificate must be two paths, the certificate's and its key's; got {certificate!r}")


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


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
