"""Speed and memory of a training, in the logs of each epoch."""

from __future__ import annotations

import os
import time
from typing import Any

import keras
import tensorflow as tf

from tfkit import memory
from tfkit.attach.guard import stand_first

_MIB = 2**20


class ResourceMonitor(keras.callbacks.Callback):
    """Adds `samples_per_second`, `step_ms` and `memory_mb` to the logs of each epoch.

    Time is that from the beginning of an epoch to the end of its last step: validation and other callbacks' work at
    its end do not count. Memory is that of the process in MiB; with a GPU `gpu_memory_mb` is the most that TensorFlow
    held of the first one since the epoch began. It comes before all other callbacks, so that logs see what it adds.
    Rows are counted by Keras; a `train_step` that keeps no loss of the epoch has no `samples_per_second`.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> ones = np.ones((8, 1))
        >>> history = model.fit(ones, ones, callbacks=[ResourceMonitor()], verbose=0)
        >>> sorted(history.history)
        ['loss', 'memory_mb', 'samples_per_second', 'step_ms']
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun = self._ended = 0.0
        self._steps = self._rows = 0
        self._has_gpu = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._has_gpu = bool(tf.config.list_logical_devices("GPU"))
        stand_first(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps = self._rows = 0
        if self._has_gpu:
            tf.config.experimental.reset_memory_stats("GPU:0")
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps, self._ended = batch + 1, time.perf_counter()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._count()  # before validation begins to count anew

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None or not self._steps:
            return
        self._count()
        seconds = max(self._ended - self._begun, 1e-9)
        # The last execution of an epoch may hold fewer steps than its number says.
        steps = min(self._steps, self.params.get("steps") or self._steps)
        if self._rows:
            logs["samples_per_second"] = self._rows / seconds
        logs["step_ms"] = seconds / steps * 1e3
        held = memory.held(os.getpid())
        if held is not None:
            logs["memory_mb"] = held / _MIB
        if self._has_gpu:
            logs["gpu_memory_mb"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / _MIB

    def _count(self) -> None:
        if self._rows:
            return
        count = getattr(next(iter(self.model.metrics), None), "count", None)
        self._rows = 0 if count is None else round(float(keras.ops.convert_to_numpy(count)))
