"""The Pareto front of what was measured: nothing else is at least as good and smaller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# What an automatic search makes small, by its target: the column of the table.
OBJECTIVES: Mapping[str, str] = {"size": "bytes", "latency": "latency_p50_ms"}


def pareto(rows: Sequence[dict[str, Any]], cost: str, *, higher_is_better: bool = True) -> list[dict[str, Any]]:
    """The rows that no other row beats, the cheapest first.

    A row is beaten by one that costs no more and has no worse metric, and is better in one of both; of rows
    equal in both the one that is smaller after gzip stays, else the first.

    Args:
        rows: Rows of the table.
        cost: What is to be small, such as "bytes".
        higher_is_better: Whether a larger metric is the better one.

    Example:
        >>> rows = [{"bytes": 9, "metric": 0.9}, {"bytes": 5, "metric": 0.8}, {"bytes": 7, "metric": 0.7}]
        >>> [row["bytes"] for row in pareto(rows, "bytes")]
        [5, 9]
    """
    sign = 1 if higher_is_better else -1
    ordered = sorted(rows, key=lambda row: (row[cost], -sign * row["metric"], row.get("gzip_bytes", 0)))
    front: list[dict[str, Any]] = []
    for row in ordered:
        if not front or sign * row["metric"] > sign * front[-1]["metric"]:
            front.append(row)
    return front
