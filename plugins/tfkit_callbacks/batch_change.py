"""BatchChange, the base of callbacks that give the training step another batch."""

from __future__ import annotations

import zlib
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.attached import Attached
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.optimizers import batch_count
from tfkit.models import require_compiled


class BatchChange(Attached):
    """Changes each batch of one fit before the training step sees it, in the graph; validation has its own as they are.

    What is random is drawn from `seed` and the number of the batch alone: each epoch has draws of its own, a resumed
    fit those that it would have had, and each replica its own; under XLA they are others. Of several such callbacks
    the last in the list changes a batch first.

    Args:
        seed: Of what is random.

    Attributes:
        name: What the callback is called in errors.
    """

    name = "batch-change"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    def change(self, x: Any, y: Any, sample_weight: Any, seed: Any) -> tuple[Any, Any, Any]:
        """The batch that the training step gets; runs in the graph, in each replica.

        Args:
            x: Inputs, as Keras gives them to `train_step`.
            y: Labels, or None.
            sample_weight: Weights of rows, or None.
            seed: Two int32 for this batch, for the stateless random functions of TensorFlow.
        """
        raise NotImplementedError

    def install(self, model: keras.Model) -> None:
        wrap_method(require_compiled(model), "train_step", self._step)

    def uninstall(self, model: keras.Model) -> None:
        remove_from_method(model, "train_step", self._step)

    def _step(self, step: Any, data: Any) -> Any:
        changed = self.change(*keras.utils.unpack_x_y_sample_weight(data), self._batch_seed())
        return step(keras.utils.pack_x_y_sample_weight(*changed))

    def _batch_seed(self) -> Any:
        number = tf.cast(batch_count(self.model.optimizer).value, tf.int32)
        seed = fold_in(tf.stack([self.seed & 0x7FFFFFFF, number]), zlib.crc32(self.name.encode()) & 0x7FFFFFFF)
        return fold_in(seed, tf.distribute.get_replica_context().replica_id_in_sync_group)


def fold_in(seed: Any, number: Any) -> Any:
    """Another seed of two int32, for one of several draws."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def uniform(shape: Any, seed: Any, maxval: Any = 1.0, dtype: Any = tf.float32) -> Any:
    """Numbers from 0 to below `maxval`, each as likely.

    Args:
        shape: Their shape.
        seed: Two int32.
        maxval: What they stay below.
        dtype: float32 or int32.
    """
    return tf.random.stateless_uniform(shape, seed, 0, maxval, dtype)
