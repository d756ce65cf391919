"""What --ssl_config_file and --rest_ssl_config_file say: a key and its certificate, and whether clients show theirs."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf.text_format import ParseError

from tfkit_serving.configuration.flags import FlagError
from tfkit_serving.configuration.text import parse_text
from tfkit_serving.protocol.messages import SSLConfig


def read_ssl_config(flag: str, path: str) -> Any:
    """The SSLConfig of a file, whose key and certificates can be used.

    Args:
        flag: The flag's name, for the error.
        path: The file.

    Raises:
        FlagError: The file is none, or its key or certificates are missing or wrong; the key is never quoted.
    """
    try:
        config = parse_text(Path(path), SSLConfig())
        server_context(config)
    except (OSError, ValueError) as error:
        raise FlagError(f"--{flag}: {_words(error, path)}") from None
    return config


def server_context(config: Any) -> ssl.SSLContext:
    """How a server's sockets encrypt.

    Args:
        config: An SSLConfig.

    Raises:
        ValueError: A key or certificates are missing or wrong.
        OSError: There is no place for a temporary file.
    """
    for name in ("server_key", "server_cert"):
        if not getattr(config, name):
            raise ValueError(f"TLS takes a key and a certificate; {name} is missing")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load_pair(context, config)
    if not config.client_verify:
        return context
    context.verify_mode = ssl.CERT_REQUIRED
    if not config.custom_ca:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        return context
    try:
        context.load_verify_locations(cadata=config.custom_ca)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"custom_ca holds no certificates in PEM form: {error}") from None
    return context


def _words(error: Exception, path: str) -> str:
    """What is wrong; the parser's own words quote the line, which may be the key's."""
    cause = error.__cause__
    return (
        f"{path}: line {cause.GetLine()} is no SSLConfig in text form" if isinstance(cause, ParseError) else str(error)
    )


def _load_pair(context: ssl.SSLContext, config: Any) -> None:
    # Python reads a key from a file alone; the folder is the user's own.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.pem")
        path.write_text(f"{config.server_key}\n{config.server_cert}\n", encoding="utf-8")
        try:
            context.load_cert_chain(path, password="")  # otherwise a key with a password has OpenSSL ask the terminal
        except ssl.SSLError as error:
            raise ValueError(
                f"server_key and server_cert are no key and certificate in PEM form that belong together: {error}"
            ) from None
