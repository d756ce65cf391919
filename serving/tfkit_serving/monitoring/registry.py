"""Counters, gauges and histograms by label values, written as Prometheus reads them.

A registry of our own rather than prometheus_client's, since TensorFlow Serving's counters have names that begin with a
colon and no `_total`, and since a request pays for each observation: one dictionary look-up and one bisection.

Example:
    >>> metrics = Metrics()
    >>> swaps = metrics.counter("tfkit_swaps_total", "Versions exchanged.", ("model",))
    >>> swaps.add(("mlp",))
    >>> print(metrics.render(), end="")
    # HELP tfkit_swaps_total Versions exchanged.
    # TYPE tfkit_swaps_total counter
    tfkit_swaps_total{model="mlp"} 1
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Labels = tuple[str, ...]
OTHER = "_other"
"""The label value that stands for all combinations beyond a metric's bound."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class _Metric:
    """A name, its help, its labels, and at most `limit` combinations of label values."""

    kind = "untyped"

    def __init__(self, name: str, help_text: str, labels: Sequence[str], limit: int) -> None:
        self.name = name
        self.help = help_text
        self.labels = tuple(labels)
        self.limit = limit
        # Label values come from requests: without a bound, made-up model names would fill the memory.
        self.other = (OTHER,) * len(self.labels)

    def head(self) -> list[str]:
        lines = [f"# HELP {self.name} {self.help}"] if self.help else []
        return [*lines, f"# TYPE {self.name} {self.kind}"]

    def pairs(self, values: Labels) -> str:
        return ",".join(f'{label}="{_clean(value)}"' for label, value in zip(self.labels, values))

    def lines(self) -> list[str]:
        raise NotImplementedError


def _clean(value: str) -> str:
    return str(value).translate(_ESCAPES).encode("utf-8", "replace").decode()


class _Scalar(_Metric):
    def __init__(self, name: str, help_text: str, labels: Sequence[str], limit: int) -> None:
        super().__init__(name, help_text, labels, limit)
        self.values: dict[Labels, float] = {}

    def get(self, labels: Labels = ()) -> float:
        """The value of these labels, 0 before the first."""
        return self.values.get(labels, 0)

    def forget(self, labels: Labels) -> None:
        """Leave these labels out from now on."""
        self.values.pop(labels, None)

    def lines(self) -> list[str]:
        return [f"{self.name}{{{self.pairs(labels)}}} {_number(value)}" for labels, value in self.values.items()]

    def _room(self, labels: Labels) -> Labels:
        return labels if labels in self.values or len(self.values) < self.limit else self.other


class Counter(_Scalar):
    """A value that only grows."""

    kind = "counter"

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Count `amount` more under these labels."""
        if labels not in self.values:
            labels = self._room(labels)
        self.values[labels] = self.values.get(labels, 0) + amount


class Gauge(_Scalar):
    """A value that goes up and down."""

    kind = "gauge"

    def set(self, labels: Labels, value: float) -> None:
        """The value under these labels from now on."""
        self.values[self._room(labels)] = value

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Change the value under these labels."""
        labels = self._room(labels)
        self.values[labels] = self.values.get(labels, 0) + amount


class Histogram(_Metric):
    """How often values fell below each bound.

    Args:
        name, help_text, labels, limit: as for every metric.
        bounds: growing upper bounds, written with six digits as TensorFlow Serving does; one without an end is added.
    """

    kind = "histogram"

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str],
        limit: int,
        bounds: Sequence[float],
    ) -> None:
        super().__init__(name, help_text, labels, limit)
        self.bounds = tuple(bounds)
        self.texts = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        self.values: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Count one value under these labels."""
        found = self.values.get(labels)
        if found is None:
            if len(self.values) >= self.limit:
                labels = self.other
            found = self.values.setdefault(labels, ([0] * len(self.texts), [0.0]))
        found[0][bisect_left(self.bounds, value)] += 1
        found[1][0] += value

    def lines(self) -> list[str]:
        """The buckets, sum and count of every combination of labels, as Prometheus reads them."""
        lines = []
        for labels, (counts, (total,)) in self.values.items():
            pairs = self.pairs(labels)
            comma = "," if pairs else ""
            below = 0
            for bound, count in zip(self.texts, counts):
                below += count
                lines.append(f'{self.name}_bucket{{{pairs}{comma}le="{bound}"}} {below}')
            lines.append(f"{self.name}_sum{{{pairs}}} {_number(total)}")
            lines.append(f"{self.name}_count{{{pairs}}} {below}")
        return lines


M = TypeVar("M", bound=_Metric)


class Metrics:
    """A registry: metrics by name, and functions that bring others up to date before a scrape."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}
        self._collectors: list[Callable[[], None]] = []

    def counter(self, name: str, help_text: str = "", labels: Sequence[str] = (), *, limit: int = 2000) -> Counter:
        """The counter of that name, made at first.

        Args:
            name: as Prometheus shows it.
            help_text: one line.
            labels: names of the labels; values are given in their order.
            limit: how many combinations are kept apart; those that come later share one, `_other`.

        Raises:
            ValueError: there is a metric of that name with another type or other labels.
        """
        return self._add(Counter(name, help_text, labels, limit))

    def gauge(self, name: str, help_text: str = "", labels: Sequence[str] = (), *, limit: int = 2000) -> Gauge:
        """The gauge of that name, made at first; arguments as for `counter`."""
        return self._add(Gauge(name, help_text, labels, limit))

    def histogram(
        self, name: str, help_text: str = "", labels: Sequence[str] = (), *, bounds: Sequence[float], limit: int = 2000
    ) -> Histogram:
        """The histogram of that name, made at first; `bounds` grow, and one without an end is added."""
        return self._add(Histogram(name, help_text, labels, limit, bounds))

    def collector(self, collect: Callable[[], None]) -> None:
        """Have a function called before each scrape, to set gauges of things that nobody counts as they happen."""
        self._collectors.append(collect)

    def remove_collector(self, collect: Callable[[], None]) -> None:
        """Undo `collector`."""
        self._collectors.remove(collect)

    def render(self) -> str:
        """All metrics in Prometheus's text form; one without values shows its type only."""
        for collect in self._collectors:
            collect()
        lines: Iterable[str] = (line for metric in self._metrics.values() for line in (*metric.head(), *metric.lines()))
        return "\n".join(lines) + "\n"

    def _add(self, metric: M) -> M:
        known = self._metrics.setdefault(metric.name, metric)
        if type(known) is not type(metric) or known.labels != metric.labels:
            raise ValueError(
                f"there is a metric {metric.name} already, a {known.kind} with the labels {known.labels}; "
                f"got a {metric.kind} with {metric.labels}"
            )
        return known


def _number(value: float) -> str:
    """A value as Prometheus reads it: whole numbers without a point.

    Example:
        >>> _number(10.0), _number(0.1), _number(math.inf)
        ('10', '0.1', '+Inf')
    """
    if not math.isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
