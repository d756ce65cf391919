"""HttpConnections: HTTP requests that are waited for, over connections that are used again."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Mapping

from tfkit_serving.client.address import Address
from tfkit_serving.client.exchange import Deadline, Request
from tfkit_serving.client.http_codec import ProtocolError, RequestWriter, ResponseReader
from tfkit_serving.client.rest_words import accept_reply
from tfkit_serving.protocol.errors import ServingError

MOST_IDLE = 256
_PIECE = 1 << 18


class HttpConnections:
    """Connections to one server; threads may share it.

    Args:
        address: The server.
        headers: Header lines of every request.
        tls: How its certificate is checked; None without encryption.
    """

    def __init__(self, address: Address, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> None:
        self._address, self._tls = address, tls
        self._writer = RequestWriter(address, headers)
        self._idle: list[socket.socket] = []
        self._is_closed = False
        self._lock = threading.Lock()

    def send(self, request: Request, deadline: Deadline) -> bytes:
        """Sends a request and returns the body of the reply.

        Raises:
            ServingError: UNAVAILABLE without a connection; DEADLINE_EXCEEDED; or what the server says.
        """
        try:
            return self._exchange(request, deadline)
        except (OSError, ProtocolError) as error:
            raise failure(self._address, error, deadline) from error

    def close(self) -> None:
        """Closes the connections; one that is in use, once its reply is there."""
        with self._lock:
            idle, self._idle, self._is_closed = self._idle, [], True
        for each in idle:
            each.close()

    def _exchange(self, request: Request, deadline: Deadline) -> bytes:
        connection = self._take(deadline)
        reader = ResponseReader()
        try:
            connection.settimeout(deadline.left())
            connection.sendall(self._writer.write(request))
            while not reader.done:
                connection.settimeout(deadline.left())
                data = connection.recv(_PIECE)
                reader.feed(data) if data else reader.feed_end()
        except BaseException:
            connection.close()
            raise
        self._give(connection, reader.keep_alive)
        return accept_reply(reader.status, reader.body)

    def _take(self, deadline: Deadline) -> socket.socket:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect(deadline)
            # Nothing is under way: what can be read is the server's farewell.
            if not _is_readable(connection):
                return connection
            connection.close()

    def _connect(self, deadline: Deadline) -> socket.socket:
        address = self._address
        connection = socket.create_connection((address.host, address.port), deadline.left())
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return connection
            connection.settimeout(deadline.left())
            return self._tls.wrap_socket(connection, server_hostname=address.host)
        except BaseException:
            connection.close()
            raise

    def _give(self, connection: socket.socket, keep: bool) -> None:
        with self._lock:
            if keep and not self._is_closed and len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def failure(address: Address, error: Exception, deadline: Deadline) -> ServingError:
    """The error of a call without a reply: the time is up, or the server is not reached."""
    # The system's own time-outs have a number; asyncio's are no OSError in Python 3.10.
    if (isinstance(error, TimeoutError) and error.errno is None) or not isinstance(error, (OSError, ProtocolError)):
        return deadline.passed()
    if isinstance(error, ssl.SSLCertVerificationError):
        # Another try would find the same certificate.
        return ServingError("UNAUTHENTICATED", f"the certificate of {address} is refused: {error.verify_message}")
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ServingError("UNAVAILABLE", f"{address} is not reached: {why}; is the server running there?")


def _is_readable(connection: socket.socket) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()  # select() itself takes no descriptor beyond 1023
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection], [], [], 0)[0])
