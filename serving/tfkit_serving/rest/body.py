"""Reading a request's body: whole, bounded in size and time, inflated where it came in gzip."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.options import RestOptions

T = TypeVar("T")


class BodyRefused(Exception):
    """A body that is too large or too slow; the connection is of no more use.

    Attributes:
        status: 413 or 408.
        error: what the client is told.
    """

    def __init__(self, status: int, error: ServingError) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error


class ClientGone(Exception):
    """The client closed the connection within its request."""


async def read_body(receive: Any, headers: Iterable[tuple[bytes, bytes]], options: RestOptions) -> bytes:
    """Read the body of a request.

    Args:
        receive: ASGI's.
        headers: the request's, names in lower case.
        options: the bounds.

    Returns:
        The body, inflated. One that says it is gzip and is not, is empty: so the real server reads it.

    Raises:
        BodyRefused: larger than `max_body_bytes`, or a pause longer than `body_timeout_seconds`.
        ClientGone: it was cut off.
    """
    gzip = False
    for name, value in headers:
        if name == b"content-encoding":
            gzip = b"gzip" in value
        elif name == b"content-length" and (len(value) > 18 or int(value) > options.max_body_bytes):
            raise _too_large(options)
    message = await receive()
    body = message.get("body", b"")
    if message["type"] != "http.request":
        raise ClientGone
    if message.get("more_body"):
        body = await _rest_of_body(bytearray(body), receive, options)
    if len(body) > options.max_body_bytes:
        raise _too_large(options)
    return await asyncio.to_thread(_inflate, body, options) if gzip else body


async def while_there(receive: Any, work: Awaitable[T]) -> T:
    """Waits for work as long as the client does.

    Args:
        receive: ASGI's, after the whole body; None where whoever waits is cancelled when the client goes.
        work: what is given up with it.

    Raises:
        ClientGone: it closed the connection.
    """
    if receive is None:
        return await work
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        gone.cancel()


async def _rest_of_body(body: bytearray, receive: Any, options: RestOptions) -> bytes:
    more = True
    while more:
        try:
            message = await asyncio.wait_for(receive(), options.body_timeout_seconds)
        except asyncio.TimeoutError:
            raise BodyRefused(
                408,
                ServingError(
                    "DEADLINE_EXCEEDED", f"the body paused for more than {options.body_timeout_seconds} seconds"
                ),
            ) from None
        if message["type"] != "http.request":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > options.max_body_bytes:
            raise _too_large(options)
        more = message.get("more_body", False)
    return bytes(body)


def _inflate(body: bytes, options: RestOptions) -> bytes:
    """The first gzip member of a body, never more than one byte beyond the bound in memory."""
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = inflater.decompress(body, options.max_body_bytes + 1)
    except zlib.error:
        return b""
    if len(text) > options.max_body_bytes:
        raise _too_large(options)
    return text if inflater.eof else b""


def _too_large(options: RestOptions) -> BodyRefused:
    return BodyRefused(
        413,
        ServingError("RESOURCE_EXHAUSTED", f"the body is larger than {options.max_body_bytes} bytes (max_body_bytes)"),
    )
