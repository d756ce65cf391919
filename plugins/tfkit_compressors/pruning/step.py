"""The masks inside the optimizer's step: one condition for all kernels, then a product for each."""

from __future__ import annotations

import threading
from collections.abc import Set
from typing import Any

import tensorflow as tf

from tfkit.attach.optimizers import batches_per_update, inner_optimizer
from tfkit.attach.variables import add_constraint, remove_constraint, value_before
from tfkit_compressors.pruning.masks import Masks


class MaskedStep:
    """Applies masks in `variable.constraint`, which Keras calls for each variable after an update.

    The first kernel to be called updates the masks of all where it is due, from the values that all
    have at that moment: none of them is masked yet.

    Args:
        masks: The masks.
        optimizer: The optimizer whose updates are counted.
        strategy: The `tf.distribute.Strategy` that its variables live under.
    """

    def __init__(self, masks: Masks, optimizer: Any, strategy: tf.distribute.Strategy) -> None:
        self._masks = masks
        self._optimizer = inner_optimizer(optimizer)
        self._batches_per_update = batches_per_update(optimizer)
        self._functions = [_Mask(self, index) for index in range(len(masks.variables))]
        # By thread: the graph, or eagerly the batch, of the latest `optimizer.apply`, and the kernels it has called.
        self._calls: dict[int, tuple[Any, Set[int]]] = {}
        with strategy.scope():
            self._boundary = tf.Variable(
                -1, dtype=tf.int64, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
            )

    @property
    def batches(self) -> int:
        """Batches that the optimizer has seen."""
        return int(self._optimizer._iterations.numpy())

    def updates(self, batches: Any) -> Any:
        """Updates that so many batches make, of an int or a tensor."""
        return batches if self._batches_per_update == 1 else batches // self._batches_per_update

    def end_epoch_at(self, batches: int | None) -> None:
        """Tells where the epoch ends; the update due there is left to the beginning of the next one.

        TFMOT masks weights at the end of an epoch and ranks them after that.
        """
        self._boundary.assign(-1 if batches is None else batches)

    def install(self) -> None:
        """Adds the constraints."""
        for kernel, function in zip(self._masks.variables, self._functions):
            add_constraint(kernel, function)

    def remove(self) -> None:
        """Removes what `install` added."""
        for kernel, function in zip(self._masks.variables, self._functions):
            remove_constraint(kernel, function)

    def constrained(self, index: int, value: Any) -> Any:
        """What a kernel's constraint returns."""
        if self._is_first(index):
            self._update_when_due()
        return self._masks.product(index, value)

    def _is_first(self, index: int) -> bool:
        """Whether this is the first call in one `optimizer.apply`, while that is traced or run."""
        applying = self.batches if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        # Each replica of a mirrored step is traced in a thread of its own.
        replica = threading.get_ident()
        last, called = self._calls.get(replica, (None, frozenset()))
        first = applying != last or index in called
        self._calls[replica] = (applying, {index} if first else called | {index})
        return first

    def _update_when_due(self) -> None:
        # Keras counts the batch after the constraints.
        batches = tf.cast(self._optimizer._iterations.value, tf.int64) + 1
        due = tf.not_equal(batches, self._boundary)
        if self._batches_per_update > 1:
            due = tf.logical_and(due, tf.equal(batches % self._batches_per_update, 0))
        step = self.updates(batches) + 1
        tf.cond(tf.logical_and(due, self._masks.is_due(step)), lambda: self._update(step), tf.no_op)

    def _update(self, step: Any) -> Any:
        values = [value_before(kernel, function) for kernel, function in zip(self._masks.kernels, self._functions)]
        self._masks.update(step, values)
        return tf.no_op()


class _Mask:
    """The constraint of one kernel."""

    def __init__(self, step: MaskedStep, index: int) -> None:
        self._step = step
        self._index = index

    def __call__(self, value: Any) -> Any:
        return self._step.constrained(self._index, value)
