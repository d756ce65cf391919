"""BatchChange, the base of callbacks that give the training step another batch."""

from __future__ import annotations

import zlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit.attach.attached import Attached
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.optimizers import batch_count
from tfkit.models import require_compiled


class BatchChange(Attached):
    """Changes each batch of one fit before the training step sees it, in the graph; validation has its own as they are.

    What is random is drawn from `seed`, what the optimizer has counted and the epoch at its beginning, and the number
    of the batch in it: each batch of each epoch has draws of its own, whatever optimizers its step uses, an epoch that
    is begun again those that it had, and each replica its own; under XLA they are others. Of several such callbacks the
    last in the list changes a batch first.

    Args:
        seed: Of what is random.

    Attributes:
        name: What the callback is called in errors.
    """

    name = "batch-change"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self._position: Any = None

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
        with model.distribute_strategy.scope():
            # As an optimizer's count: one number for all replicas.
            self._position = keras.Variable(
                np.zeros(3, "int64"), trainable=False, dtype="int64", aggregation="only_first_replica"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not earlier: a backup that is listed later restores the count when training begins.
        optimizer = self.model.optimizer
        counted = 0 if optimizer is None else int(keras.ops.convert_to_numpy(batch_count(optimizer)))
        self._position.assign([counted, epoch, 0])

    def uninstall(self, model: keras.Model) -> None:
        remove_from_method(model, "train_step", self._step)

    def _step(self, step: Any, data: Any) -> Any:
        seed = fold_in(self._batch_seed(), tf.distribute.get_replica_context().replica_id_in_sync_group)
        # Counted here: a step of the model's own may use optimizers of its own.
        self._position.assign_add([0, 0, 1])
        changed = self.change(*keras.utils.unpack_x_y_sample_weight(data), seed)
        return step(keras.utils.pack_x_y_sample_weight(*changed))

    def _batch_seed(self) -> Any:
        """The seed of a batch, the same on all replicas."""
        counted, epoch, number = tf.unstack(tf.cast(self._position.value, tf.int32))
        seed = fold_in(tf.stack([self.seed & 0x7FFFFFFF, counted]), zlib.crc32(self.name.encode()) & 0x7FFFFFFF)
        return fold_in(fold_in(seed, epoch), number)


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
