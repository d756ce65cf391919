"""Latency of a call: its median and its 99th percentile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

_WARM_UP = 10


def percentiles(call: Callable[[], Any], *, repeats: int = 200) -> tuple[float, float]:
    """Times a call that has no arguments, after ten calls that do not count.

    Args:
        call: What is timed; it must not return before its result is there.
        repeats: Calls that count, at least 1.

    Returns:
        The median and the 99th percentile (nearest rank), in milliseconds.

    Example:
        >>> p50, p99 = percentiles(lambda: None, repeats=20)
        >>> 0 <= p50 <= p99
        True
    """
    for _ in range(min(_WARM_UP, repeats)):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e6)
    times.sort()
    return nearest_rank(times, 0.5), nearest_rank(times, 0.99)


def nearest_rank(ordered: list[float], share: float) -> float:
    """The value that at least `share` of the values do not exceed (nearest-rank percentile).

    Example:
        >>> nearest_rank([1.0, 2.0, 3.0, 4.0], 0.5)
        2.0
    """
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
