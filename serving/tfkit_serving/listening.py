"""How programs that serve take their port and run their loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that holds a port without listening yet, so that a port in use is told before anything is loaded.

    Args:
        host: An address or a name of this machine.
        port: The port; 0 takes a free one.

    Raises:
        OSError: The port cannot be had, or the host is no address of this machine.

    Example:
        >>> with bound_socket("127.0.0.1", 0) as held:
        ...     held.getsockname()[1] > 0
        True
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def bracketed(host: str) -> str:
    """A host as URLs have it.

    Example:
        >>> bracketed("::1"), bracketed("127.0.0.1")
        ('[::1]', '127.0.0.1')
    """
    return f"[{host}]" if ":" in host else host


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs a program's work to its end, on uvloop where it is installed.

    Example:
        >>> run(asyncio.sleep(0, result=7))
        7
    """
    try:
        import uvloop
    except ImportError:  # not on every system
        return asyncio.run(work)
    return uvloop.run(work)
