"""Errors as problem+json (RFC 9457), in words: what was wrong, where, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

# What a caller is told of an error of the server behind; every other code is that server's own fault.
_STATUS = {
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "NOT_FOUND": HTTPStatus.SERVICE_UNAVAILABLE,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "RESOURCE_EXHAUSTED": HTTPStatus.SERVICE_UNAVAILABLE,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
}


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: The HTTP status.
        detail: What was wrong, where, and what to do.
        retry_after: Seconds until another try may succeed.
        errors: What was wrong with each field: "field" and "detail".
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after: float | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = int(status)
        self.detail = detail
        self.retry_after = retry_after
        self.errors = errors

    def response(self, request_id: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
        """The answer, application/problem+json."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        if request_id is not None:
            body["request_id"] = request_id
        more = dict(headers or {})
        if self.retry_after is not None:
            more["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return Response(orjson.dumps(body), self.status, more, "application/problem+json")


def upstream_problem(code: str, message: str) -> Problem:
    """What a caller is told when the server behind refuses or fails; that server's own text is part of it.

    Args:
        code: The canonical name of its status, such as "UNAVAILABLE".
        message: Its text.

    Example:
        >>> upstream_problem("DEADLINE_EXCEEDED", "too slow").status
        504
    """
    status = _STATUS.get(code, HTTPStatus.BAD_GATEWAY)
    retry = 1.0 if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Problem(status, f"the model server answered {code}: {message}", retry_after=retry)
