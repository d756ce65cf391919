"""Tls: whom a client trusts, and who it is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from os import PathLike
from pathlib import Path as _Path
from typing import TypeAlias

Path: TypeAlias = "str | PathLike[str]"


@dataclass(frozen=True)
class Tls:
    """Certificates of an encrypted connection.

    Attributes:
        authority: A PEM file of the authorities that are trusted; None for the system's.
        certificate: PEM files of the client's own certificate and its key, where the server asks for them.
    """

    authority: Path | None = None
    certificate: tuple[Path, Path] | None = None

    def context(self) -> ssl.SSLContext:
        """For Python's own sockets.

        Raises:
            ValueError: A file cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(*self.certificate)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(f"the TLS files {self._files()} cannot be read: {error}") from None
        return context

    def contents(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """For gRPC: authorities, key, certificate.

        Raises:
            ValueError: A file cannot be read.
        """
        certificate, key = self.certificate or (None, None)
        try:
            root, private, own = (
                None if each is None else _Path(each).read_bytes() for each in (self.authority, key, certificate)
            )
        except OSError as error:
            raise ValueError(f"the TLS files {self._files()} cannot be read: {error}") from None
        return root, private, own

    def _files(self) -> str:
        return ", ".join(str(each) for each in (self.authority, *(self.certificate or ())) if each is not None)
