"""Requests of browsers from other sites."""

from __future__ import annotations

from collections.abc import Iterable

from tfkit_serving.rest.answers import Answer

Headers = Iterable[tuple[bytes, bytes]]

_PREFLIGHT = b"text/html; charset=ISO-8859-1"
_LETS_IN = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
)
CORS = (*_LETS_IN, (b"access-control-allow-headers", b"Content-Type"))
CORS_WITH_KEY = (*_LETS_IN, (b"access-control-allow-headers", b"Content-Type, Authorization, X-API-Key"))


def preflight(headers: Headers) -> Answer:
    """The real server's answer to OPTIONS: a browser's question from some site, or nothing that it takes.

    Example:
        >>> preflight([(b"origin", b"https://example.org")]).status, preflight([]).status
        (200, 400)
    """
    origin = next((value for name, value in headers if name == b"origin"), b"")
    if b"http://" in origin or b"https://" in origin:
        return Answer(200, content_type=_PREFLIGHT)
    return Answer(400, content_type=_PREFLIGHT, code="FAILED_PRECONDITION")
