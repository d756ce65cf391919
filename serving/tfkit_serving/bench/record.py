"""Record: what one process saw; Result: what all of them saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfkit_serving.bench.histogram import Histogram

_NANOSECONDS = 1_000_000_000


class Record:
    """Answers and errors of the time that is measured.

    Args:
        begin: Requests that were due before are warm-up: not counted. In `time.perf_counter_ns`.
        end: Requests that were due from then on are not counted.
    """

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end = begin, end
        self.latencies = Histogram()
        self.errors: dict[str, int] = {}
        self.seen = 0

    def answer(self, due: int, now: int) -> None:
        """Counts an answer to the request that was due then."""
        self.seen += 1
        if self.begin <= due < self.end:
            self.latencies.record(now - due)

    def error(self, due: int, kind: str) -> None:
        """Counts a failure of the request that was due then."""
        self.seen += 1
        if self.begin <= due < self.end:
            self.errors[kind] = self.errors.get(kind, 0) + 1


@dataclass
class Result:
    """What a load met.

    Attributes:
        seconds: How long was measured.
        latencies: Of the answers, in nanoseconds from when the request was due.
        errors: Number by kind.
        late: How late the generator itself sent, in nanoseconds: an open loop's own error.
    """

    seconds: float
    latencies: Histogram = field(default_factory=Histogram)
    errors: dict[str, int] = field(default_factory=dict)
    late: Histogram = field(default_factory=Histogram)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.latencies.total / self.seconds

    @property
    def failed(self) -> int:
        """Requests without an answer, or with an answer that is an error."""
        return sum(self.errors.values())

    def add(self, found: Mapping[str, Any]) -> None:
        """Adds what a process found."""
        self.latencies.merge(Histogram.from_dict(found["latencies"]))
        self.late.merge(Histogram.from_dict(found["late"]))
        for kind, count in found["errors"].items():
            self.errors[kind] = self.errors.get(kind, 0) + count

    def as_dict(self) -> dict[str, Any]:
        """Figures for JSON: latencies in milliseconds."""
        names = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
        return {
            "seconds": self.seconds,
            "requests": self.latencies.total,
            "requests_per_second": round(self.rate, 1),
            **{f"{name}_ms": _milliseconds(self.latencies.quantile(share)) for name, share in names.items()},
            "mean_ms": _milliseconds(self.latencies.mean()),
            "max_ms": _milliseconds(self.latencies.maximum),
            "failed": self.failed,
            "errors": dict(sorted(self.errors.items(), key=lambda each: -each[1])),
            "generator_late_p99_ms": _milliseconds(self.late.quantile(0.99)),
        }


def _milliseconds(nanoseconds: float) -> float:
    return round(nanoseconds / 1e6, 4)
