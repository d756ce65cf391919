"""A JSON line per request, in the field names of the Elastic Common Schema; Loki's json stage takes it as it is."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TextIO


@dataclass(frozen=True)
class Exchange:
    """A request that was answered.

    Attributes:
        method: Its verb.
        path: Its path, without the query.
        status: The answer's status.
        seconds: From the request's first byte to the answer's last.
        request_id: Its id.
        trace_id: The trace that it belongs to; None takes its own id.
        client: The caller's address, or None.
        user: Name of the API key, or None.
        task: The task it called, or None.
        version: The model's version that answered, or None.
        error: What went wrong, or None.
        request_bytes: Length of the request's body.
    """

    method: str
    path: str
    status: int
    seconds: float
    request_id: str
    trace_id: str | None = None
    client: str | None = None
    user: str | None = None
    task: str | None = None
    version: int | None = None
    error: str | None = None
    request_bytes: int = 0


class RequestLog:
    """Writes exchanges: all that failed, and a share of those that went well.

    A line that cannot be written, for a full disk, say, is counted and lost: a log never fails a request.

    Args:
        stream: Where lines go; None for standard output.
        share: Share of the successes that are written, in [0, 1].
        draw: Gives a number in [0, 1).

    Attributes:
        lost: Lines that could not be written.
    """

    def __init__(
        self, stream: TextIO | None = None, share: float = 1.0, draw: Callable[[], float] = random.random
    ) -> None:
        self.lost = 0
        self._stream = stream
        self._share = share
        self._draw = draw

    def write(self, exchange: Exchange) -> None:
        """Writes a line, unless it is a success that is left out."""
        if exchange.status < 400 and self._draw() >= self._share:
            return
        line = json.dumps(fields(exchange), separators=(",", ":"), ensure_ascii=True)
        try:
            stream = self._stream or sys.stdout
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            self.lost += 1


def fields(exchange: Exchange) -> dict[str, Any]:
    """The line's fields, by their names in the Elastic Common Schema 8; event.duration is in nanoseconds.

    Example:
        >>> fields(Exchange("POST", "/digits", 200, 0.001, "abc"))["event.duration"]
        1000000
    """
    level = "error" if exchange.status >= 500 else "warn" if exchange.status >= 400 else "info"
    row = {
        "@timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "log.level": level,
        "message": f"{exchange.method} {exchange.path} {exchange.status}",
        "ecs.version": "8.11.0",
        "service.name": "tfkit-gateway",
        "event.dataset": "tfkit.gateway",
        "event.outcome": "success" if exchange.status < 400 else "failure",
        "event.duration": round(exchange.seconds * 1e9),
        "http.request.method": exchange.method,
        "http.request.id": exchange.request_id,
        "http.request.body.bytes": exchange.request_bytes,
        "http.response.status_code": exchange.status,
        "url.path": exchange.path,
        "trace.id": exchange.trace_id or exchange.request_id,
        "client.address": exchange.client,
        "user.name": exchange.user,
        "error.message": exchange.error,
        "labels.task": exchange.task,
        "labels.model_version": None if exchange.version is None else str(exchange.version),
    }
    return {name: value for name, value in row.items() if value is not None}
