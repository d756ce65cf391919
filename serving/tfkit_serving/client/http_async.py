"""AsyncHttpConnections: HTTP requests with asyncio, over connections that are used again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from tfkit_serving.client.address import Address
from tfkit_serving.client.exchange import Deadline, Request
from tfkit_serving.client.http_codec import ProtocolError, RequestWriter, ResponseReader
from tfkit_serving.client.http_connections import MOST_IDLE, failure
from tfkit_serving.client.rest_words import accept_reply


class AsyncHttpConnections:
    """Connections to one server, in one event loop.

    Args:
        address: The server.
        headers: Header lines of every request.
        tls: How its certificate is checked; None without encryption.
    """

    def __init__(self, address: Address, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> None:
        self._address, self._tls = address, tls
        self._writer = RequestWriter(address, headers)
        self._idle: list[_Connection] = []
        self._is_closed = False

    async def send(self, request: Request, deadline: Deadline) -> bytes:
        """Sends a request and returns the body of the reply.

        Raises:
            ServingError: UNAVAILABLE without a connection; DEADLINE_EXCEEDED; or what the server says.
        """
        try:
            connection = self._take() or await self._connect(deadline)
            reader = await connection.exchange(self._writer.write(request), deadline.left())
        except (OSError, asyncio.TimeoutError, ProtocolError) as error:
            raise failure(self._address, error, deadline) from error
        if reader.keep_alive and not self._is_closed and len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return accept_reply(reader.status, reader.body)

    async def close(self) -> None:
        """Closes the connections; one that is in use, once its reply is there."""
        idle, self._idle, self._is_closed = self._idle, [], True
        for each in idle:
            each.close()
        await asyncio.gather(*(each.closed() for each in idle))

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def _connect(self, deadline: Deadline) -> _Connection:
        address = self._address
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(_Connection, address.host, address.port, ssl=self._tls)
        _, connection = await asyncio.wait_for(connecting, deadline.left())
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._reply: asyncio.Future[ResponseReader] | None = None
        self._reader = ResponseReader()
        self._transport: asyncio.Transport | None = None
        self.usable = False

    async def exchange(self, data: bytes, seconds: float | None) -> ResponseReader:
        """Sends a request and reads the reply; who leaves early ends the connection.

        Raises:
            TimeoutError: It is not there in time.
            OSError: The connection broke.
            ProtocolError: What came is no reply.
        """
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._reader, self._reply = ResponseReader(), loop.create_future()
        expiry = None if seconds is None else loop.call_later(seconds, self._fail, TimeoutError())
        self._transport.write(data)
        try:
            return await self._reply
        except BaseException:
            self._transport.abort()
            raise
        finally:
            if expiry is not None:
                expiry.cancel()
            self._reply = None

    def close(self) -> None:
        """Closes it."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    async def closed(self) -> None:
        """Returns once it is closed."""
        await self._closed

    def connection_made(self, transport: Any) -> None:
        """asyncio's: it is open. uvloop's transport is none of asyncio's class."""
        self._transport, self.usable = transport, True
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """asyncio's: bytes came."""
        if self._reply is None:
            self.close()  # nothing was asked
            return
        try:
            self._reader.feed(data)
        except ProtocolError as error:
            self._fail(error)
            return
        self._answer()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's: it ended."""
        self.usable = False
        if not self._closed.done():
            self._closed.set_result(None)
        if self._reply is None:
            return
        try:
            self._reader.feed_end()
            self._answer()
        except ProtocolError as error:
            self._fail(exc if isinstance(exc, OSError) else error)

    def _answer(self) -> None:
        if self._reader.done and self._reply is not None and not self._reply.done():
            self._reply.set_result(self._reader)

    def _fail(self, error: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
