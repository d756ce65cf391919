"""Clock: the time budget of an automatic search, and what its parts cost."""

from __future__ import annotations

import time
from collections import defaultdict

# What a part costs before it was done once, in seconds.
_GUESSES = {"convert": 9.0, "build": 3.0}
_MARGIN = 1.15


class Clock:
    """Counts down a budget.

    Args:
        begun: `time.monotonic()` at which it began.
        seconds: The budget.

    Attributes:
        ends: `time.monotonic()` at which it is spent.
        reserve: Seconds at the end that are kept free.

    Example:
        >>> clock = Clock(time.monotonic(), 100)
        >>> clock.reserve = 20.0
        >>> clock.fits(60), clock.fits(90)
        (True, False)
    """

    def __init__(self, begun: float, seconds: float) -> None:
        self.seconds = seconds
        self.ends = begun + seconds
        self.reserve = 0.0
        self._seen: dict[str, list[float]] = defaultdict(list)

    def left(self) -> float:
        """Seconds that can still be spent."""
        return self.ends - self.reserve - time.monotonic()

    def gone(self) -> float:
        """Seconds since it began."""
        return self.seconds - (self.ends - time.monotonic())

    def spent(self) -> float:
        """The share of the budget that is spent, what is reserved included; 1 at its end."""
        return 1.0 - self.left() / self.seconds if self.seconds else 1.0

    def fits(self, seconds: float) -> bool:
        """Whether something that takes so long still fits, with a margin."""
        return seconds * _MARGIN <= self.left()

    def note(self, part: str, seconds: float) -> None:
        """Remembers what a part has cost."""
        self._seen[part].append(seconds)

    def forget(self, part: str, guess: float) -> None:
        """Forgets what a part has cost, since it is done otherwise from now on."""
        self._seen[part] = [guess]

    def cost(self, part: str) -> float:
        """What a part costs: the larger of its last two, or a guess."""
        return max(self._seen[part][-2:], default=_GUESSES.get(part, 0.0))
