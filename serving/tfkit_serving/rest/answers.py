"""Answer: what goes back to a client, and the forms that errors take."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import TypeAlias

from tfkit_serving.access import Refused
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.json_writer import quote

JSON = b"application/json"
TEXT = b"text/plain"
HTML = b"text/html"


Body: TypeAlias = "bytes | memoryview"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer.

    Attributes:
        status: the HTTP status.
        body: what follows the headers.
        content_type: the header of that name.
        close: whether the connection ends with it.
        code: the canonical name of the outcome, for metrics and logs.
        headers: further headers.
    """

    status: int
    body: Body = b""
    content_type: bytes = JSON
    close: bool = False
    code: str = "OK"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def error_answer(error: ServingError, *, close: bool = False, status: int | None = None) -> Answer:
    """The JSON that TensorFlow Serving writes for an error."""
    message = quote(error.message.encode("utf-8", "surrogateescape"))
    body = b'{\n    "error": ' + message + b"\n}"
    return Answer(status or error.http_status, body, close=close, code=error.code, headers=_advice(error))


def _advice(error: ServingError) -> tuple[tuple[bytes, bytes], ...]:
    """What a client does that was not let in: show a key, or wait."""
    if not isinstance(error, Refused):
        return ()
    if error.retry_after is not None:
        return ((b"retry-after", b"%d" % ceil(error.retry_after)),)
    return ((b"www-authenticate", b"Bearer"),) if error.code == "UNAUTHENTICATED" else ()


def page(status: int) -> Answer:
    """The page that the real server's HTTP library writes where the API is not concerned.

    Example:
        >>> print(page(404).body.decode(), end="")
        <HTML><HEAD>
        <TITLE>404 Not Found</TITLE>
        </HEAD><BODY>
        <H1>Not Found</H1>
        </BODY></HTML>
    """
    phrase = HTTPStatus(status).phrase
    body = (
        f"<HTML><HEAD>\n<TITLE>{status} {phrase}</TITLE>\n</HEAD><BODY>\n<H1>{phrase}</H1>\n</BODY></HTML>\n"
    ).encode()
    code = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 501: "UNIMPLEMENTED"}[status]
    return Answer(status, body, HTML, close=True, code=code)
