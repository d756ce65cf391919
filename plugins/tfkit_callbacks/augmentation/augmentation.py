"""Augmentation, the base of callbacks that change the inputs of each training batch at random."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfkit_callbacks.batch_change import BatchChange


class Augmentation(BatchChange):
    """Changes the inputs of each batch, in two ways: as a callback of one fit, or by `augment` in `Dataset.map`.

    As a callback it does so in the training step, on the model's device; as in `BatchChange` draws are those of the
    batch's number. In a dataset they are those of a generator, new in each epoch, in the order in which batches are
    mapped; `num_parallel_calls` lets that order change.
    """

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._generator: tf.random.Generator | None = None

    def augmented(self, x: Any, seed: Any) -> Any:
        """The changed inputs of a batch.

        Args:
            x: The inputs.
            seed: Two int32.

        Raises:
            DataError: They cannot be changed so.
        """
        raise NotImplementedError

    def augment(self, x: Any, *others: Any) -> Any:
        """A batch with its inputs changed, for `tf.data.Dataset.map`.

        Args:
            x: The inputs.
            *others: Labels and weights, which stay as they are.
        """
        if self._generator is None:
            # A variable, made beside the graph of the dataset that is traced.
            with tf.init_scope():
                self._generator = tf.random.Generator.from_seed(self.seed)
        seed = self._generator.uniform_full_int((2,), dtype=tf.int32)
        changed = self.augmented(x, seed)
        return (changed, *others) if others else changed

    def change(self, x: Any, y: Any, sample_weight: Any, seed: Any) -> tuple[Any, Any, Any]:
        return self.augmented(x, seed), y, sample_weight
