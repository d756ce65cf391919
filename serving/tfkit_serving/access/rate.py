"""RateLimit: so many requests a second, by name."""

from __future__ import annotations

from collections.abc import Callable


class RateLimit:
    """Token buckets, one per name: a second's worth of requests may come at once.

    Args:
        clock: Seconds that never go back.

    Example:
        >>> limit = RateLimit(clock=lambda: 0.0)
        >>> [limit.wait("web", 2.0) for _ in range(3)]
        [0.0, 0.0, 0.5]
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, name: str, rate: float) -> float:
        """Takes a token: 0.0, or the seconds until there is one, in which case none is taken.

        Args:
            name: Whose bucket.
            rate: Tokens a second; the bucket holds as many, and at least one.
        """
        now, full = self._clock(), max(1.0, rate)
        tokens, at = self._buckets.get(name, (full, now))
        tokens = min(full, tokens + (now - at) * rate)
        if tokens < 1.0:
            self._buckets[name] = (tokens, now)
            return (1.0 - tokens) / rate
        self._buckets[name] = (tokens - 1.0, now)
        return 0.0
