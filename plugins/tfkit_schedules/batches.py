"""EpochBatches: the train part in batches whose size is that of the epoch that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfkit.data import is_dataset
from tfkit.mapped import gathered_rows, is_mapped
from tfkit.nests import map_leaves


class EpochBatches:
    """A dataset that a new iterator reads as the batches of the epoch which was begun last.

    Args:
        part: `(x, y)` or `(x, y, sample_weight)` of arrays, or a dataset of batches.
        rows: Its number of rows.
        sizes: Rows in a batch, for each epoch.
        seed: Of the order of rows, which depends on it and the epoch alone; None leaves them as they are.
    """

    def __init__(self, part: Any, rows: int, sizes: Sequence[int], seed: int | None) -> None:
        self._part = part
        self._rows = rows
        self._sizes = tf.constant(list(sizes), tf.int64)
        self._seed = seed
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="epoch")

    def begin(self, epoch: int) -> None:
        """Has the next iterator read an epoch, counted from 0."""
        self._epoch.assign(epoch)

    def dataset(self) -> tf.data.Dataset:
        """The dataset; its batches have an open number of rows, so that all epochs share one trace."""
        batched = self._rebatched() if is_dataset(self._part) else self._gathered()
        return tf.data.Dataset.range(1).flat_map(batched).prefetch(tf.data.AUTOTUNE)

    def _rebatched(self) -> Any:
        single = self._part.unbatch()
        return lambda _: single.batch(self._size())

    def _gathered(self) -> Any:
        # Rows are drawn by their numbers, a batch at once: faster than one by one, and nothing is copied.
        by_numpy = is_mapped(self._part)
        held = self._part if by_numpy else map_leaves(tf.convert_to_tensor, self._part)
        take = gathered_rows if by_numpy else tf.gather

        def batched(_: Any) -> tf.data.Dataset:
            numbers = tf.data.Dataset.from_tensor_slices(self._order()).batch(self._size())
            return numbers.map(lambda chosen: map_leaves(lambda leaf: take(leaf, chosen), held))

        return batched

    def _size(self) -> Any:
        return tf.gather(self._sizes, self._epoch)

    def _order(self) -> Any:
        numbers = tf.range(self._rows, dtype=tf.int64)
        if self._seed is None:
            return numbers
        return tf.random.experimental.stateless_shuffle(numbers, seed=tf.stack([self._seed, self._epoch]))
