"""Observer: what a request leaves behind, in the metrics and in the request log."""

from __future__ import annotations

import random
from itertools import count
from time import time
from typing import Any

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.rest.answers import Answer
from tfkit_serving.rest.calls import Record
from tfkit_serving.rest.options import RestOptions
from tfkit_serving.rest.request_log import RequestLog

_LONGEST_ID = 128


class Observer:
    """Counts requests, and writes a line for each where there is a log.

    Args:
        options: where the log is, and which share of the successes is written to it.

    Attributes:
        logs: whether there is a log.
    """

    def __init__(self, options: RestOptions) -> None:
        self._log = RequestLog(options.request_log) if options.request_log else None
        self._fraction = options.request_log_fraction
        self._ids = (f"{random.getrandbits(48):012x}-{number}" for number in count(1))
        self.logs = self._log is not None

    def identify(self, scope: dict[str, Any]) -> bytes:
        """The id that the client gave; one of our own if there is a log to find it in."""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and 0 < len(value) <= _LONGEST_ID:
                return bytes(value)
        return next(self._ids).encode() if self.logs else b""

    def count(self, answer: Answer, record: Record, seconds: float) -> None:
        """Count a request in the metrics, if it was to run a version."""
        if record.action not in ("predict", "classify", "regress"):
            return
        METRICS.count_request(record.model, answer.code)
        if answer.code == "OK":
            METRICS.observe_latency(record.model, record.action, "REST", seconds * 1e6)
        if record.version is not None:
            METRICS.observe_signature(record.model, record.version, record.signature, answer.code, seconds)

    def write(self, scope: dict[str, Any], answer: Answer, record: Record, seconds: float, identifier: bytes) -> None:
        """Have the line of a request written, if there is a log."""
        if self._log is None or (answer.code == "OK" and random.random() >= self._fraction):
            return
        self._log.add(
            {
                "time": time(),
                "method": scope["method"],
                "path": scope["raw_path"].decode("latin-1"),
                "model": record.model.encode("utf-8", "replace").decode(),
                "version": record.version,
                "signature": record.signature.encode("utf-8", "replace").decode(),
                "status": answer.status,
                "code": answer.code,
                "latency_ms": round(seconds * 1e3, 3),
                "rows": record.rows,
                "request_id": identifier.decode("latin-1"),
                "user": record.user,
            }
        )

    def close(self) -> None:
        """Write what is waiting."""
        if self._log is not None:
            self._log.close()
