"""Masks of kernels: which of their values stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit.errors import ModelError
from tfkit_compressors.kernels import zero_share
from tfkit_compressors.pruning.chosen import Chosen
from tfkit_compressors.pruning.engine import engine
from tfkit_compressors.pruning.ranking import global_masks, unit_mask
from tfkit_compressors.pruning.schedule import Timetable, constant, timetable
from tfkit_compressors.schemas import Prune


class Masks:
    """One mask for each variable, True where a value stays; all True at first.

    Kernels are ranked each for itself by TFMOT's engine, all together, or by units; what follows a kernel
    is masked where its units are.

    Args:
        chosen: The kernels, what each is to reach, and what follows it.
        settings: The parameters of prune.
        strategy: The `tf.distribute.Strategy` that the variables live under.

    Attributes:
        variables: The kernels, then what follows them.

    Raises:
        ModelError: If a kernel's shape does not go with the block size or the pattern.
    """

    def __init__(self, chosen: Sequence[Chosen], settings: Prune, strategy: tf.distribute.Strategy) -> None:
        for each in chosen:
            _check_shape(each.kernel, settings)
        self._chosen = list(chosen)
        self._settings = settings
        followed = [(index, variable) for index, each in enumerate(chosen) for variable in each.followers]
        self._leaders = [index for index, _ in followed]
        self.variables = [each.kernel for each in chosen] + [variable for _, variable in followed]
        # By sparsity to reach; when masks are updated is the same for all.
        self._timetables: dict[float, Timetable] = {each.sparsity: constant(each.sparsity) for each in chosen}
        with strategy.scope():
            self._masks = [tf.Variable(tf.ones(each.shape, tf.bool), trainable=False) for each in self.variables]

    @property
    def kernels(self) -> list[keras.Variable]:
        """The kernels, without what follows them."""
        return self.variables[: len(self._chosen)]

    def plan(self, first: int, last: int | None) -> None:
        """Sets when masks are updated, from a fit's first step to its last; see `timetable`."""
        for sparsity in self._timetables:
            initial = min(self._settings.initial_sparsity, sparsity)
            settings = dataclasses.replace(self._settings, sparsity=sparsity, initial_sparsity=initial)
            self._timetables[sparsity] = timetable(settings, first, last)

    def is_due(self, step: Any) -> Any:
        """Whether masks are updated before a step, an int64 scalar."""
        return next(iter(self._timetables.values()))(step)[0]

    def keep_zeros(self) -> None:
        """Takes the zeros that are there for masked, save in a kernel that is nothing but zeros."""
        for kernel, mask in zip(self.kernels, self._masks):
            nonzero = tf.not_equal(kernel.value, 0)
            mask.assign(tf.logical_or(nonzero, tf.logical_not(tf.reduce_any(nonzero))))
        self._follow()

    def update(self, step: Any, values: Sequence[Any]) -> None:
        """Makes every mask anew.

        Args:
            step: Int64 scalar, the step that the masks are for.
            values: Tensors of the variables' shapes; those of the smallest magnitude are masked.
        """
        values = [tf.convert_to_tensor(value) for value in values[: len(self._chosen)]]
        for index, mask in enumerate(self._masks_of(step, values)):
            self._masks[index].assign(tf.cast(mask, tf.bool))
        self._follow()

    def update_if_due(self, step: int) -> None:
        """Updates from the kernels as they are, outside of a graph."""
        if self.is_due(tf.constant(step, tf.int64)):
            self.update(tf.constant(step, tf.int64), [kernel.value for kernel in self.kernels])

    def finish(self) -> None:
        """Updates to the sparsity that was asked for, whatever the schedule."""
        self._timetables = {sparsity: constant(sparsity) for sparsity in self._timetables}
        self.update_if_due(0)

    def product(self, index: int, value: Any) -> Any:
        """The value of one variable times its mask, the cheapest way to mask it."""
        value = tf.convert_to_tensor(value)
        return value * tf.cast(self._masks[index], value.dtype)

    def apply(self) -> None:
        """Writes zeros into the variables, outside of a graph; a product leaves -0.0 where a value was negative."""
        for variable, mask in zip(self.variables, self._masks):
            variable.assign(tf.where(mask, variable.value, tf.zeros([], variable.dtype)))

    def missed(self) -> tuple[str, ...]:
        """A sentence for each sparsity that is more than 0.01 off the one asked for."""
        alone = [each for index, each in enumerate(self._chosen) if index not in self._together]
        sentences = [
            f"{each.kernel.path!r} of shape {tuple(each.kernel.shape)} has a sparsity of {share:.4g}, "
            f"{each.sparsity:.4g} was asked for"
            for each, share in [(each, zero_share(each.kernel)) for each in alone]
            if abs(share - each.sparsity) > 0.01
        ]
        return (*sentences, *self._missed_together())

    @property
    def _together(self) -> list[int]:
        """The kernels that are ranked together: those that were given no sparsity of their own."""
        if self._settings.ranking == "layer":
            return []
        return [index for index, each in enumerate(self._chosen) if not each.is_own]

    def _missed_together(self) -> tuple[str, ...]:
        kernels = [self.variables[index] for index in self._together]
        if not kernels:
            return ()
        sizes = [kernel.value.shape.num_elements() for kernel in kernels]
        share = sum(zero_share(kernel) * size for kernel, size in zip(kernels, sizes)) / sum(sizes)
        if abs(share - self._settings.sparsity) <= 0.01:
            return ()
        asked = f"{self._settings.sparsity:.4g} was asked for"
        return (f"the {len(kernels)} kernels that are ranked together have a sparsity of {share:.4g}, {asked}",)

    def _masks_of(self, step: Any, values: list[Any]) -> list[Any]:
        together = self._together
        masks = [None if index in together else self._mask_of(index, value, step) for index, value in enumerate(values)]
        if together:
            share = self._timetables[self._settings.sparsity](step)[1]
            for index, mask in zip(together, global_masks([values[index] for index in together], share)):
                masks[index] = mask
        return masks

    def _mask_of(self, index: int, value: Any, step: Any) -> Any:
        settings, schedule = self._settings, self._timetables[self._chosen[index].sparsity]
        if settings.granularity == "unit":
            return unit_mask(value, schedule(step)[1])
        pruning = engine()(
            lambda: step, [], schedule, settings.block_size, settings.block_pooling, zeros_of(settings.pattern)
        )
        # Its public method wants variables of its own and one `tf.cond` a kernel.
        return pruning._maybe_update_block_mask(value)[1]

    def _follow(self) -> None:
        for leader, mask in zip(self._leaders, self._masks[len(self._chosen) :]):
            units = self._masks[leader]
            mask.assign(tf.reduce_any(units, axis=tuple(range(units.shape.rank - 1))))


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
