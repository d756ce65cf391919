"""Shadow: a version that is asked everything too, compared, and never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfkit_serving.gateway.metrics import GatewayMetrics

# Beyond as many at a time, requests are not sent to the shadow: it must not take what callers need.
_MOST = 32

# Values that differ by less, relatively, agree: another version's arithmetic is not bit for bit the same.
_TOLERANCE = 1e-3


class Shadow:
    """Asks a second time in the background, and counts whether the answers agree.

    Args:
        metrics: Where rows are counted.
    """

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._running: set[asyncio.Task[None]] = set()

    def send(
        self, model: str, label: str, answers: Sequence[Mapping[str, Any]], ask: Callable[[], Awaitable[Sequence[Any]]]
    ) -> None:
        """Asks and compares, later.

        Args:
            model: The model.
            label: The shadow's version label.
            answers: What the caller got, a row each.
            ask: Asks the shadow for the same rows.
        """
        if len(self._running) >= _MOST:
            self._metrics.shadow.add((model, label, "dropped"), len(answers))
            return
        task = asyncio.get_running_loop().create_task(self._compare(model, label, answers, ask))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _compare(
        self, model: str, label: str, answers: Sequence[Mapping[str, Any]], ask: Callable[[], Awaitable[Sequence[Any]]]
    ) -> None:
        try:
            others = await ask()
        except Exception:  # whatever the shadow does is counted, and is nobody else's matter
            self._metrics.shadow.add((model, label, "failed"), len(answers))
            return
        for answer, other in zip(answers, others):
            self._metrics.shadow.add((model, label, "agreed" if agree(answer, other) else "disagreed"))

    async def close(self) -> None:
        """Ends what is still being asked."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


def agree(answer: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers say the same: one label, or values within a thousandth.

    Example:
        >>> agree({"label": "cat", "score": 0.9}, {"label": "cat", "score": 0.6})
        True
        >>> agree({"value": 1.0}, {"value": 1.1})
        False
    """
    if "label" in answer or "label" in other:
        return bool(answer.get("label") == other.get("label"))
    return answer.keys() == other.keys() and all(_near(answer[name], other[name]) for name in answer)


def _near(value: Any, other: Any) -> bool:
    one, two = np.asarray(value), np.asarray(other)
    if one.shape != two.shape or one.dtype.kind not in "biuf" or two.dtype.kind not in "biuf":
        return bool(one.shape == two.shape and one.tolist() == two.tolist())
    return bool(np.allclose(one, two, rtol=_TOLERANCE, atol=1e-6, equal_nan=True))
