"""Masks of kernels: which of their values stay, chosen by TFMOT's engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit.errors import ModelError
from tfkit_compressors.kernels import zero_share
from tfkit_compressors.pruning.engine import engine
from tfkit_compressors.pruning.schedule import Timetable, constant
from tfkit_compressors.schemas import Prune


class Masks:
    """One mask for each kernel, True where a value stays; all True at first.

    Args:
        kernels: The variables to mask.
        settings: The parameters of prune.
        strategy: The `tf.distribute.Strategy` that the variables live under.

    Raises:
        ModelError: If a kernel's shape does not go with the block size or the pattern.
    """

    def __init__(self, kernels: Sequence[keras.Variable], settings: Prune, strategy: tf.distribute.Strategy) -> None:
        for kernel in kernels:
            _check_shape(kernel, settings)
        self.kernels = list(kernels)
        self.timetable: Timetable = constant(settings.sparsity)
        self._settings = settings
        with strategy.scope():
            self._masks = [tf.Variable(tf.ones(kernel.shape, tf.bool), trainable=False) for kernel in kernels]

    def keep_zeros(self) -> None:
        """Takes the zeros that are there for masked, save in a kernel that is nothing but zeros."""
        for kernel, mask in zip(self.kernels, self._masks):
            nonzero = tf.not_equal(kernel.value, 0)
            mask.assign(tf.logical_or(nonzero, tf.logical_not(tf.reduce_any(nonzero))))

    def update(self, step: Any, values: Sequence[Any]) -> None:
        """Makes every mask anew.

        Args:
            step: Int64 scalar, the step that the masks are for.
            values: Tensors of the kernels' shapes; those of the smallest magnitude are masked.
        """
        for mask, value in zip(self._masks, values):
            mask.assign(tf.cast(self._mask_of(tf.convert_to_tensor(value), step), tf.bool))

    def update_if_due(self, step: int) -> None:
        """Updates from the kernels as they are, outside of a graph."""
        if self.timetable(tf.constant(step, tf.int64))[0]:
            self.update(tf.constant(step, tf.int64), [kernel.value for kernel in self.kernels])

    def finish(self) -> None:
        """Updates to the sparsity that was asked for, whatever the schedule."""
        self.timetable = constant(self._settings.sparsity)
        self.update_if_due(0)

    def product(self, index: int, value: Any) -> Any:
        """The value of one kernel times its mask, the cheapest way to mask it."""
        value = tf.convert_to_tensor(value)
        return value * tf.cast(self._masks[index], value.dtype)

    def apply(self) -> None:
        """Writes zeros into the kernels, outside of a graph; a product leaves -0.0 where a value was negative."""
        for kernel, mask in zip(self.kernels, self._masks):
            kernel.assign(tf.where(mask, kernel.value, tf.zeros([], kernel.dtype)))

    def missed(self) -> list[tuple[keras.Variable, float]]:
        """The kernels whose sparsity is more than 0.01 off the one asked for, and theirs."""
        reached = [(kernel, zero_share(kernel)) for kernel in self.kernels]
        return [(kernel, share) for kernel, share in reached if abs(share - self._settings.sparsity) > 0.01]

    def _mask_of(self, value: Any, step: Any) -> Any:
        settings = self._settings
        pruning = engine()(
            lambda: step, [], self.timetable, settings.block_size, settings.block_pooling, zeros_of(settings.pattern)
        )
        # Its public method wants variables of its own and one `tf.cond` a kernel.
        return pruning._maybe_update_block_mask(value)[1]


def zeros_of(pattern: str | None) -> tuple[int, int] | None:
    """A pattern such as "2:4" as (zeros, values in a group)."""
    if pattern is None:
        return None
    zeros, _, group = pattern.partition(":")
    return int(zeros), int(group)


def _check_shape(kernel: keras.Variable, settings: Prune) -> None:
    shape = tuple(kernel.shape)
    way_out = f"leave the layer out with exclude, by its name or type; {kernel.path!r} has the shape {shape}"
    if settings.pattern is not None and len(shape) not in (2, 4):
        raise ModelError(f"the pattern {settings.pattern!r} needs kernels of 2 or 4 dimensions: {way_out}")
    if settings.block_size == (1, 1):
        return
    if len(shape) != 2:
        raise ModelError(f"block_size={settings.block_size} needs kernels of 2 dimensions: {way_out}")
    if any(size <= block or size == 1 for size, block in zip(shape, settings.block_size)):
        raise ModelError(f"block_size={settings.block_size} needs more than one block in each dimension: {way_out}")
