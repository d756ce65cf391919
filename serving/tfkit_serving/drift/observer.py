"""DriftObserver: compares the rows that a model is asked with the profile of those it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tfkit.formats.profile import SCHEMA
from tfkit_serving.drift.column import Column
from tfkit_serving.drift.distances import index_by_chance, kolmogorov_smirnov, stability_index
from tfkit_serving.drift.window import Window

Sample: TypeAlias = "tuple[str, dict[str, str], float]"

# Rows gather until binning them at once is cheap, unless they are large.
_PENDING_BYTES = 1 << 20


class DriftObserver:
    """Counts rows in the bins of a profile, over a window of the last rows, and says how far they are off.

    Args:
        profile: What `tfkit.json` holds under "profile".
        labels: Names of the classes, in the order of a classifier's scores; without them classes are numbers.
        window: Rows that the window spans.
        minimum: Rows before anything but their number is told.

    Raises:
        ValueError: The profile is of another schema, or the window is smaller than the minimum.

    Example:
        >>> from tfkit.formats.profile import take_profile
        >>> rows = np.random.default_rng(0).normal(size=(1000, 1))
        >>> observer = DriftObserver(take_profile({"x": rows}, {}, task=None))
        >>> observer.observe({"x": rows + 1.0}, {})
        >>> {name: round(value, 1) for name, _, value in observer.metrics() if name == "tfkit_drift_psi"}
        {'tfkit_drift_psi': 1.1}
    """

    def __init__(
        self, profile: Mapping[str, Any], *, labels: Sequence[str] = (), window: int = 1000, minimum: int = 200
    ) -> None:
        if profile.get("schema") != SCHEMA:
            raise ValueError(f"the profile has schema {profile.get('schema')!r}, and {SCHEMA} is read: export anew")
        if not 0 < minimum <= window:
            raise ValueError(f"minimum must be in 1 … window ({window}); got {minimum}")
        self._labels = tuple(labels)
        self._minimum = minimum
        self._columns = list(_columns(profile))
        self._window = Window(self._columns[-1].place.stop if self._columns else 0, window)
        self._rows = window
        self._pending: list[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], int]] = []
        self._pending_rows = self._pending_bytes = 0

    def observe(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        """Takes rows and what was answered to them; a tensor that is not there is passed over.

        The arrays are kept until enough have gathered, so they must not be changed afterwards.

        Args:
            inputs: Arrays by the signature's names, rows first; strings as object arrays of bytes or str.
            outputs: Arrays likewise, of as many rows.
        """
        arrays = [*inputs.values(), *outputs.values()]
        rows = len(arrays[0]) if arrays and arrays[0].ndim else 0
        if not rows:
            return
        self._pending.append((inputs, outputs, rows))
        self._pending_rows += rows
        self._pending_bytes += sum(array.nbytes for array in arrays)
        if self._pending_rows >= self._window.block_rows or self._pending_bytes > _PENDING_BYTES:
            self._flush()

    def metrics(self) -> list[Sample]:
        """What is seen now: metrics' names, labels and values, of each feature that at least `minimum` rows had.

        Returns:
            `tfkit_drift_rows`: rows in the window. `tfkit_drift_psi`: the stability index; `tfkit_drift_psi_by_chance`:
            what it stays below in 99 of 100 windows without any shift. `tfkit_drift_ks`: the Kolmogorov-Smirnov
            statistic of numbers. `tfkit_drift_missing_share`; `tfkit_drift_outside_vocabulary_share` of words;
            `tfkit_prediction_share`: share of each class in the answers. Each is labelled with its feature, the
            last one with its class.
        """
        self._flush()
        rows = self._window.rows
        found: list[Sample] = [("tfkit_drift_rows", {}, float(rows))]
        if rows >= self._minimum:
            for column in self._columns:
                found += self._of_column(column, self._window.total[column.place])
        return found

    def _of_column(self, column: Column, counts: np.ndarray) -> Iterator[Sample]:
        labels, bins, more = {"feature": column.name}, counts[:-1], int(counts[-1])
        seen = int(bins.sum())
        if column.kind == "tokens":
            if seen:
                yield "tfkit_drift_outside_vocabulary_share", labels, more / seen
        elif seen + more:
            yield "tfkit_drift_missing_share", labels, more / (seen + more)
        if seen < self._minimum or not column.expected.sum():
            return
        yield "tfkit_drift_psi", labels, stability_index(column.expected, bins)
        if column.kind != "tokens":  # words of a text come together, so that chance alone says less than it seems
            yield "tfkit_drift_psi_by_chance", labels, index_by_chance(len(bins), column.expected.sum(), seen)
        if column.kind == "numeric":
            yield "tfkit_drift_ks", labels, kolmogorov_smirnov(column.expected, bins)
        for name, count in zip(self._names(column), bins):
            yield "tfkit_prediction_share", {"label": name}, float(count / seen)

    def _names(self, column: Column) -> list[str]:
        if column.classes is None:
            return []
        return [self._label(number) for number in column.classes] + ["other"]

    def _label(self, number: int) -> str:
        return self._labels[number] if number < len(self._labels) else str(number)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        self._pending_rows = self._pending_bytes = 0
        for inputs, outputs, rows in _joined(pending):
            # No more than the window is ever looked at, however large a batch was.
            at = max(0, rows - self._rows)
            while at < rows:
                end = min(rows, at + self._window.room)
                self._count(_cut(inputs, at, end), _cut(outputs, at, end), end - at)
                at = end

    def _count(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], rows: int) -> None:
        counts: np.ndarray = np.zeros(len(self._window.total), "int64")
        for column in self._columns:
            found = column.count(inputs, outputs)
            if found is not None:
                counts[column.place] = found
        self._window.add(counts, rows)


def _columns(profile: Mapping[str, Any]) -> Iterator[Column]:
    start = 0
    for feature in profile["features"]:
        column = Column(feature, start)
        start = column.place.stop
        yield column


def _joined(
    pending: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], int]],
) -> Iterator[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], int]]:
    """Rows that came one by one as batches, as far as their shapes agree."""
    groups: dict[Any, list[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], int]]] = {}
    for each in pending:
        groups.setdefault((_shapes(each[0]), _shapes(each[1])), []).append(each)
    for group in groups.values():
        if len(group) == 1:
            yield group[0]
        else:
            yield _join([each[0] for each in group]), _join([each[1] for each in group]), sum(each[2] for each in group)


def _shapes(arrays: Mapping[str, np.ndarray]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, array.shape[1:]) for name, array in arrays.items())


def _join(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _cut(arrays: Mapping[str, np.ndarray], start: int, end: int) -> dict[str, np.ndarray]:
    return {name: array[start:end] for name, array in arrays.items()}
