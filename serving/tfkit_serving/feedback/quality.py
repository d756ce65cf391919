"""Prediction quality over the rows whose labels came back last."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Quality:
    """Quality over a window.

    Attributes:
        rows: Labelled rows in the window.
        accuracy: Share of them whose label was predicted, in [0, 1]; None for values.
        mean_absolute_error: Mean of |value − label|; None for labels.
        root_mean_squared_error: Square root of the mean of (value − label)²; None for labels.
    """

    rows: int
    accuracy: float | None = None
    mean_absolute_error: float | None = None
    root_mean_squared_error: float | None = None


class RollingQuality:
    """Quality over the last rows, as far as they are young enough.

    Args:
        rows: Labelled rows that the window holds at most.
        seconds: Age at which a row leaves the window.
        clock: Seconds that never go back.

    Attributes:
        count: Labelled rows ever.

    Example:
        >>> quality = RollingQuality(rows=4)
        >>> for predicted, label in (("cat", "dog"), ("cat", "cat"), ("dog", "dog"), ("cat", "cat"), ("dog", "dog")):
        ...     quality.add(predicted, label)
        >>> quality.now()
        Quality(rows=4, accuracy=1.0, mean_absolute_error=None, root_mean_squared_error=None)
        >>> quality.count
        5
    """

    def __init__(
        self, rows: int = 1000, seconds: float = 86_400.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.count = 0
        self._seconds = seconds
        self._clock = clock
        self._rows: deque[tuple[float, bool | float]] = deque(maxlen=rows)

    def add(self, predicted: str | float, label: str | float) -> None:
        """Adds a row: two labels are compared, two numbers subtracted."""
        outcome = predicted == label if isinstance(predicted, str) else predicted - float(label)
        self.count += 1
        self._rows.append((self._clock(), outcome))

    def now(self) -> Quality:
        """Quality over the window; without rows nothing but their number, 0."""
        oldest = self._clock() - self._seconds
        while self._rows and self._rows[0][0] <= oldest:
            self._rows.popleft()
        outcomes = [outcome for _, outcome in self._rows]
        if not outcomes:
            return Quality(0)
        if isinstance(outcomes[-1], bool):
            return Quality(len(outcomes), accuracy=sum(map(bool, outcomes)) / len(outcomes))
        return Quality(
            len(outcomes),
            mean_absolute_error=math.fsum(map(abs, outcomes)) / len(outcomes),
            root_mean_squared_error=math.sqrt(math.fsum(each * each for each in outcomes) / len(outcomes)),
        )
