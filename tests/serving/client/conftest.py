"""A server of HTTP that answers what a test says."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest


def answer(status, text, *headers):
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", *headers])
    return f"{head}\r\n\r\n{text}".encode()


@dataclass
class Scripted:
    """Answers each POST with the next of `answers`, the last one for ever; GET with 404. None closes, a call waits."""

    answers: list[bytes | Callable[[], bytes] | None]
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), self._encrypted(connection) as connection:
            while request := self._read(connection):
                if request.startswith(b"GET"):
                    connection.sendall(answer(404, "no metadata here"))
                    continue
                self.requests.append(request)
                reply = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
                reply = reply() if callable(reply) else reply
                if reply is None:
                    return
                connection.sendall(reply)

    def _encrypted(self, connection):
        if self.tls is None:
            return connection
        with connection:  # which a failed handshake leaves to us
            return self.tls.wrap_socket(connection, server_side=True)

    def _read(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(1 << 16)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(1 << 16)
        return head + b"\r\n\r\n" + body


@pytest.fixture
def scripted():
    """Starts servers, scripted([…]), that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda answers, tls=None: stack.enter_context(Scripted(answers, tls))
