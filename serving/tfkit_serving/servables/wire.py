"""Wire: a process's own end of a connection to the server, which it ends with."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfkit_serving.servables import framing


class Wire:
    """A connection that carries whole frames; the process ends with it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._connection = connection

    def receive(self) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        """The next frame's message and arrays."""
        length, header = framing.PREFIX.unpack(self._exactly(framing.PREFIX.size))
        return framing.decode(self._exactly(length - 4), header)

    def send(self, message: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Writes a frame."""
        for each in _joined(framing.encode(message, arrays)):
            self._connection.sendall(each)

    def _exactly(self, count: int) -> bytearray:
        body = bytearray(count)
        view = memoryview(body)
        while view:
            got = self._connection.recv_into(view)
            if not got:
                os._exit(0)
            view = view[got:]
        return body


def end_with(connections: Sequence[socket.socket]) -> None:
    """Ends the process as soon as the server's end of one is closed, whatever the other threads do."""
    poll = select.poll()
    for each in connections:
        poll.register(each, 0)  # what hangs up is always told
    poll.poll()
    os._exit(0)


def _joined(buffers: framing.Buffers) -> framing.Buffers:
    """One buffer where they are small: a system call costs more than a copy."""
    small = sum(len(each) for each in buffers) < 1 << 17
    return [b"".join(buffers)] if small else buffers
