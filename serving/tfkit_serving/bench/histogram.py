"""Latencies in buckets whose width grows with the value, as HdrHistogram's: any range, an error below 1%."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_BITS = 7  # 64 to 127 steps for each power of two
_HALF = 1 << (_BITS - 1)
_BAR = "█"


class Histogram:
    """Counts of latencies in nanoseconds.

    Example:
        >>> latencies = Histogram()
        >>> for each in range(1, 1001):
        ...     latencies.record(each * 1_000_000)
        >>> latencies.total, latencies.maximum
        (1000, 1000000000)
        >>> abs(latencies.quantile(0.5) / 500_000_000 - 1) < 0.01
        True
    """

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self.maximum = 0
        self.sum = 0

    def record(self, nanoseconds: int) -> None:
        """Counts one latency."""
        index = _index(nanoseconds)
        counts = self.counts
        counts[index] = counts.get(index, 0) + 1
        self.total += 1
        self.sum += nanoseconds
        if nanoseconds > self.maximum:
            self.maximum = nanoseconds

    def merge(self, other: Histogram) -> None:
        """Adds another histogram's counts."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.total += other.total
        self.sum += other.sum
        self.maximum = max(self.maximum, other.maximum)

    def quantile(self, share: float) -> int:
        """The latency in nanoseconds that `share` of the counts do not exceed; 0 where nothing was counted."""
        wanted, seen = share * self.total, 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= wanted:
                return min(_highest(index), self.maximum)
        return self.maximum

    def mean(self) -> float:
        """The mean in nanoseconds; 0 where nothing was counted."""
        return self.sum / self.total if self.total else 0.0

    def bars(self, width: int = 50) -> Iterator[str]:
        """Lines of a bar chart: a bar for each step of 1, 2, 5, 10, 20, 50 … µs that was reached."""
        if not self.total:
            return
        groups: dict[int, int] = {}
        for index, count in self.counts.items():
            bound = _round_bound(_highest(index))
            groups[bound] = groups.get(bound, 0) + count
        tallest = max(groups.values())
        for bound in _bounds(min(groups), max(groups)):
            count = groups.get(bound, 0)
            bar = _BAR * max(round(width * count / tallest), count > 0)
            yield f"≤ {_in_words(bound):>7}  {count / self.total:6.1%}  {bar}".rstrip()

    def as_dict(self) -> dict[str, object]:
        """What `from_dict` takes, for JSON."""
        return {"counts": list(self.counts.items()), "sum": self.sum, "maximum": self.maximum}

    @classmethod
    def from_dict(cls, found: Mapping[str, object]) -> Histogram:
        """The histogram that `as_dict` described."""
        made = cls()
        made.counts = dict(found["counts"])  # type: ignore[call-overload]
        made.total = sum(made.counts.values())
        made.sum, made.maximum = int(str(found["sum"])), int(str(found["maximum"]))
        return made


def _index(value: int) -> int:
    shift = value.bit_length() - _BITS
    return value if shift <= 0 else shift * _HALF + (value >> shift)


def _highest(index: int) -> int:
    """The highest value that has this index."""
    if index < 2 * _HALF:
        return index
    shift = index // _HALF - 1
    return ((index - shift * _HALF + 1) << shift) - 1


def _round_bound(nanoseconds: int) -> int:
    """The first of 1, 2, 5, 10, 20 … µs that is not below."""
    return next(each for each in _bounds(1000, 1 << 62) if each >= nanoseconds)


def _bounds(first: int, last: int) -> Iterator[int]:
    power = 1000
    while power <= last:
        for each in (power, 2 * power, 5 * power):
            if first <= each <= last:
                yield each
        power *= 10


def _in_words(nanoseconds: int) -> str:
    if nanoseconds < 1_000_000:
        return f"{nanoseconds // 1000} µs"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds // 1_000_000} ms"
    return f"{nanoseconds // 1_000_000_000} s"
