"""Column: one feature of a profile, and how rows that are seen fall into its bins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfkit.formats.profile import Feature, bin_counts, feature_values


class Column:
    """A feature's place in the vector of counts: its bins, and behind them one count more.

    That last count is of rows without a value, and for words of those outside the vocabulary.

    Args:
        feature: An entry of a profile's `features`.
        start: Where its counts begin in the vector.

    Attributes:
        name: The feature's name.
        kind: "numeric", "categories" or "tokens".
        expected: Rows (of tokens: words) in each bin when the profile was taken, shape (bins,).
        place: Its part of the vector, a slice of bins + 1 counts.
    """

    def __init__(self, feature: Feature, start: int) -> None:
        self.name = str(feature["name"])
        self.kind = str(feature["kind"])
        self.expected = np.asarray(feature["shares"], "float64") * feature["count"]
        self.place = slice(start, start + len(self.expected) + 1)
        self._feature = feature
        self._vocabulary = frozenset(feature.get("vocabulary", ()))

    @property
    def classes(self) -> list[Any] | None:
        """The class of each bin but the last, where this is a classifier's answer; else None."""
        return list(self._feature["values"]) if self._feature["of"] == "class" else None

    def count(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Counts of some rows, shape (bins + 1,), int64; None where the rows do not hold this feature.

        Args:
            inputs: Arrays by the signature's names, rows first.
            outputs: Arrays likewise.
        """
        tensors = inputs if self._feature["side"] == "inputs" else outputs
        if not self._is_in(tensors):
            return None
        values = feature_values(self._feature, tensors)
        counts = bin_counts(self._feature, values)
        if self.kind == "tokens":
            more = sum(word not in self._vocabulary for word in values)
        else:
            more = len(values) - int(counts.sum())
        return np.append(counts, more)

    def _is_in(self, tensors: Mapping[str, np.ndarray]) -> bool:
        array = tensors.get(self._feature["tensor"])
        if array is None or not array.ndim or not len(array):
            return False
        # A string of an array of shape (rows,) is bytes, and one value.
        return bool((self._feature["index"] or 0) < np.size(array[0]))
