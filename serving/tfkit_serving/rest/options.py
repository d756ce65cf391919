"""RestOptions: the bounds of the REST server and what it offers beside the API."""

from __future__ import annotations

from dataclasses import dataclass

PROMETHEUS_PATH = "/monitoring/prometheus/metrics"


@dataclass(frozen=True)
class RestOptions:
    """How the REST server behaves.

    Attributes:
        max_body_bytes: the largest body, inflated. The real server has no bound but its memory.
        max_depth: how deep lists and objects of a body may lie in each other, at most 64, numpy's bound for an array.
            The real server dies of deep ones.
        max_in_flight: how many requests are answered at a time; those beyond get 503.
        body_timeout_seconds: how long a client may pause within a body.
        timeout_seconds: how long a request may take once it is read; None has no bound.
        metrics_path: where Prometheus reads the metrics; None has no such page, like the real server without a
            monitoring configuration.
        cors: whether browsers from elsewhere are let in, as by the real server's `--enable_cors_support`.
        request_log: a file for one JSON line a request; None writes none.
        request_log_fraction: the share of the requests that are written, from 0 to 1. Failures always are.

    Example:
        >>> RestOptions(max_body_bytes=1 << 20).max_depth
        64
    """

    max_body_bytes: int = 64 << 20
    max_depth: int = 64
    max_in_flight: int = 10_000
    body_timeout_seconds: float = 30.0
    timeout_seconds: float | None = None
    metrics_path: str | None = PROMETHEUS_PATH
    cors: bool = False
    request_log: str | None = None
    request_log_fraction: float = 1.0

    def __post_init__(self) -> None:
        if not 2 <= self.max_depth <= 64:
            raise ValueError(f"max_depth must be from 2 to 64; got {self.max_depth}")
        if not 0 <= self.request_log_fraction <= 1:
            raise ValueError(f"request_log_fraction must be from 0 to 1; got {self.request_log_fraction}")
