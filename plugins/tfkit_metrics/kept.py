"""Rows kept on the host, for metrics that need all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfkit.errors import ParameterError

# In a graph, where each step of Keras asks for a result, it is computed again once there are so many times the rows.
_GROWTH = 1.1


class Rows:
    """Columns of rows, in host memory, in the order they came.

    Copies of a metric in a graph, and the replicas of a strategy in one process, add to the same rows.

    Args:
        owner: Name of the metric, for errors.
        way_out: What to do where rows cannot be kept, for errors.
    """

    def __init__(self, owner: str, way_out: str) -> None:
        self.owner, self.way_out = owner, way_out
        self.batches: list[tuple[Any, ...]] = []
        self.last: tuple[int, Any] = (0, None)

    def add(self, *columns: tf.Tensor) -> None:
        """Adds a batch; the last column holds weights, and rows of weight 0 are left out.

        Raises:
            ParameterError: Under several workers, or jit_compile.
        """
        self._check_place()
        if tf.executing_eagerly():
            self._append(*(column.numpy() for column in columns))
        else:
            tf.numpy_function(self._append, columns, [])

    def clear(self) -> None:
        """Forgets all rows."""
        if tf.executing_eagerly():
            self._forget()
        else:
            tf.numpy_function(self._forget, [], [])

    def compute(self, function: Callable[..., Any], dtypes: tuple[tf.DType, ...]) -> tuple[tf.Tensor, ...]:
        """A function of the columns; exact when run eagerly.

        In a graph it is exact on the first batch after `clear` and computed again whenever the rows have grown by
        a tenth since, so that a progress bar costs an epoch no more than a few results.

        Args:
            function: From the columns, numpy arrays, to as many arrays as there are dtypes.
            dtypes: Dtypes of the results.
        """
        if tf.executing_eagerly():
            return tuple(tf.cast(each, dtype) for each, dtype in zip(function(*self.columns()), dtypes))
        return tuple(tf.numpy_function(lambda: self._latest(function, dtypes), [], list(dtypes)))

    def columns(self) -> tuple[Any, ...]:
        """All rows, a numpy array for each column; empty where there are none yet."""
        batches = list(self.batches)
        return tuple(np.concatenate(column) for column in zip(*batches))

    def _append(self, *columns: Any) -> None:
        kept = columns[-1] != 0
        # Taking rows copies them: the arrays given are views of TensorFlow's memory.
        self.batches.append(tuple(column[kept] for column in columns))

    def _forget(self) -> None:
        self.batches, self.last = [], (0, None)

    def _latest(self, function: Callable[..., Any], dtypes: tuple[tf.DType, ...]) -> Any:
        rows = sum(len(batch[-1]) for batch in list(self.batches))
        then, value = self.last
        if value is None or rows < then or rows >= _GROWTH * then:
            value = [np.asarray(each, dtype.as_numpy_dtype) for each, dtype in zip(function(*self.columns()), dtypes)]
            self.last = (rows, value)
        return value

    def _check_place(self) -> None:
        strategy = tf.distribute.get_strategy()
        if tf.distribute.has_strategy() and strategy.num_replicas_in_sync > len(strategy.extended.worker_devices):
            raise ParameterError(f"metric {self.owner!r} keeps its rows in one process and there are several workers")
        if _under_xla():
            raise ParameterError(f"metric {self.owner!r} keeps its rows, which jit_compile cannot: {self.way_out}")


def _under_xla() -> bool:
    # TensorFlow has no public way to ask.
    return tf.__internal__.get_enclosing_xla_context() is not None
