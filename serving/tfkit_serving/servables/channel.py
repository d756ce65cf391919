"""Channel: the server's end of one connection to a version's process."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from tfkit_serving.servables import framing

Reply = tuple[dict[str, Any], Mapping[str, np.ndarray]]
_STAGED = 1 << 16


class ChannelClosed(Exception):
    """The process at the other end is gone."""


class Channel(asyncio.BufferedProtocol):
    """Sends requests as frames; replies come in the order of the requests.

    Attributes:
        closed: Done when the connection is closed.

    Example:
        >>> channel = await Channel.over(connection)  # doctest: +SKIP
        >>> message, arrays = await channel.request({"signature": "serve", "outputs": None}, {"x": x})  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        # In the order of their requests; one that nobody waits for any more still takes its reply.
        self._replies: deque[asyncio.Future[Reply]] = deque()
        # A reply as it comes: a small one whole, a large one's body where it stays.
        self._staged = memoryview(bytearray(_STAGED))
        self._body: bytearray | None = None
        self._filled = self._header = 0

    @classmethod
    async def over(cls, connection: socket.socket) -> Channel:
        """A channel over a connected socket, which it owns from now on."""
        _, channel = await asyncio.get_running_loop().create_unix_connection(cls, sock=connection)
        return channel

    def request(self, message: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> asyncio.Future[Reply]:
        """Sends a request.

        Returns:
            The reply, to come. It raises ChannelClosed when the process ends before.

        Raises:
            ChannelClosed: The process has ended.
        """
        if self._transport is None or self.closed.done():
            raise ChannelClosed
        self._transport.writelines(framing.encode(message, arrays))
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies.append(reply)
        return reply

    def close(self) -> None:
        """Closes the connection, with which the process ends."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails the requests that still wait."""
        self.closed.set_result(None)
        for each in self._replies:
            if not each.done():
                each.set_exception(ChannelClosed())
                each.exception()  # whoever waited may have given up

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        whole = self._staged if self._body is None else memoryview(self._body)
        return whole[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Takes the reply once it is whole."""
        self._filled += nbytes
        if self._body is None and not self._begin_body():
            return
        body = self._body
        if body is not None and self._filled == len(body):
            self._body, self._filled = None, 0
            reply = self._replies.popleft()
            if not reply.done():
                reply.set_result(framing.decode(body, self._header))

    def _begin_body(self) -> bool:
        """Makes room for a reply whose length is known by now, and puts there what has come of it."""
        prefix = framing.PREFIX.size
        if self._filled < prefix:
            return False
        length, self._header = framing.PREFIX.unpack_from(self._staged)
        self._body = bytearray(length - 4)
        come = self._filled - prefix
        self._body[:come] = self._staged[prefix : self._filled]
        self._filled = come
        return True
