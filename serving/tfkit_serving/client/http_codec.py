"""HTTP/1.1 as a client speaks it: a request written, a response read from the bytes as they come.

http.client waits, and httpx takes ten times the processor time of what this does; both ways of waiting share it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tfkit_serving.client.address import Address
from tfkit_serving.client.exchange import Request

_END = b"\r\n\r\n"
_LONGEST_HEAD = 1 << 16
_NO_BODY = frozenset((204, 304))


class ProtocolError(ValueError):
    """What came is no HTTP."""


class RequestWriter:
    """Writes requests to one server.

    Args:
        address: The server.
        headers: Header lines that each request has, such as an API key's.

    Raises:
        ValueError: A header has a line break, or is one that a request has anyway.
    """

    def __init__(self, address: Address, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            if any(each in f"{name}{value}" for each in "\r\n\0") or not name or " " in name or ":" in name:
                raise ValueError(f"the header {name!r} has characters that end a header")
            if name.lower() in ("host", "content-length", "transfer-encoding", "connection"):
                raise ValueError(f"the header {name!r} is the connection's own; leave it out")
        lines = {"Host": address.netloc, "Content-Type": "application/json", **headers}
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")

    def write(self, request: Request) -> bytes:
        """The bytes of a request."""
        first = f"{request.verb} {request.target} HTTP/1.1\r\n".encode()
        length = b"Content-Length: %d\r\n\r\n" % len(request.body) if request.verb == "POST" else b"\r\n"
        return b"".join((first, self._lines, length, request.body))


class ResponseReader:
    """Reads one response.

    Attributes:
        status: The HTTP status, once `done`.
        body: What came with it, once `done`.
        keep_alive: Whether the connection can be used again, once `done`.
        done: Whether the response is whole.

    Example:
        >>> reader = ResponseReader()
        >>> reader.feed(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{")
        >>> reader.feed(b"}")
        >>> reader.done, reader.status, reader.body
        (True, 200, b'{}')
    """

    def __init__(self) -> None:
        self.status, self.body, self.keep_alive, self.done = 0, b"", False, False
        self._held = bytearray()
        self._in_body = False
        self._length: int | None = None  # of the body; None: it ends with the connection
        self._chunks: _Chunks | None = None

    @property
    def begun(self) -> bool:
        """Whether any of the response has come."""
        return self._in_body or bool(self._held)

    def feed(self, data: bytes) -> None:
        """Takes what has come.

        Raises:
            ProtocolError: It is no HTTP response.
        """
        self._held += data
        while not self._in_body:
            if not self._read_head():
                return
        if self._chunks is not None:
            self._chunks.feed(self._held)
            if self._chunks.done:
                self._finish(bytes(self._chunks.body), not self._held)
        elif self._length is not None and len(self._held) >= self._length:
            self._finish(bytes(self._held[: self._length]), len(self._held) == self._length)

    def feed_end(self) -> None:
        """Takes that the connection has ended.

        Raises:
            ProtocolError: The response is not whole.
        """
        if self.done:
            return
        if not self._in_body or self._chunks is not None or self._length is not None:
            raise ProtocolError("the connection was closed before the reply was whole")
        self._finish(bytes(self._held), False)

    def _finish(self, body: bytes, keep: bool) -> None:
        self.body, self.done = body, True
        self.keep_alive = self.keep_alive and keep

    def _read_head(self) -> bool:
        end = self._held.find(_END)
        if end < 0:
            if len(self._held) > _LONGEST_HEAD or not b"HTTP/1.".startswith(self._held[:7]):
                raise ProtocolError(f"no HTTP reply, but {bytes(self._held[:40])!r}")
            return False
        first, *lines = bytes(self._held[:end]).split(b"\r\n")
        del self._held[: end + len(_END)]
        self.status, newer = _read_status(first)
        if 100 <= self.status < 200:
            return True  # an interim reply; the real one follows
        self._read_fields(_read_headers(lines), newer)
        self._in_body = True
        return True

    def _read_fields(self, fields: dict[bytes, bytes], newer: bool) -> None:
        said = fields.get(b"connection", b"").lower()
        self.keep_alive = b"close" not in said and (newer or b"keep-alive" in said)
        encoding = fields.get(b"transfer-encoding", b"").lower()
        if encoding not in (b"", b"identity"):
            if encoding != b"chunked":
                raise ProtocolError(f"the transfer encoding {encoding!r} is not known")
            self._chunks = _Chunks()
        elif self.status in _NO_BODY:
            self._length = 0
        elif b"content-length" in fields:
            self._length = _number(fields[b"content-length"], 10)


class _Chunks:
    """A body in chunks."""

    def __init__(self) -> None:
        self.body, self.done = bytearray(), False
        self._trailers = False

    def feed(self, held: bytearray) -> None:
        """Takes whole chunks off what is held."""
        while not self.done:
            end = held.find(b"\r\n")
            if end < 0:
                return
            if self._trailers:
                self.done = end == 0
                del held[: end + 2]
                continue
            size = _number(bytes(held[:end]).partition(b";")[0].strip(), 16)
            if len(held) < end + 2 + size + 2 and size:
                return
            self.body += held[end + 2 : end + 2 + size]
            # The last chunk has no data, hence no line break behind it.
            del held[: end + 2 + (size + 2 if size else 0)]
            self._trailers = size == 0


def _read_status(line: bytes) -> tuple[int, bool]:
    version, _, rest = line.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not rest[:3].isdigit():
        raise ProtocolError(f"no HTTP reply, but {line[:40]!r}")
    return int(rest[:3]), version == b"HTTP/1.1"


def _read_headers(lines: list[bytes]) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _number(digits: bytes, base: int) -> int:
    try:
        number = int(digits, base)
    except ValueError:
        number = -1
    if number < 0:
        raise ProtocolError(f"{digits[:40]!r} is no length")
    return number
