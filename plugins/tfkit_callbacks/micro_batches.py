"""A batch in parts, one after the other, for one update."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

import tfkit
from tfkit.attach.train_steps import TrainStep, apply, gradients, note, rows_of

# Under these the loss of a batch is the mean of its parts' by their rows.
_MEANS = ("mean", "sum_over_batch_size")


class MicroBatches(TrainStep):
    """Computes the gradients of a batch in `steps` parts, which need so much less memory, and updates once.

    The update is that of the whole batch, where Keras's `gradient_accumulation_steps` makes one of several
    batches: optimizer, schedules, callbacks and logs see a batch as ever, and it works under Mirrored, where Keras's
    fails. Rows that make no whole part are a part more; a batch of fewer rows has a part for each. BatchNormalization
    normalizes each part by its own statistics, and each has dropout of its own: with these it is not the same as a
    whole batch. A mean over unmasked positions is taken in each part. Gradients of embeddings are summed over repeated
    rows before the optimizer sees them; Keras's Adam squares them one by one.

    Args:
        steps: Parts of a batch, on each replica.

    Raises:
        ModelError: As for `TrainStep`, or a loss is not the mean of its rows.

    Example:
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(keras.optimizers.SGD(0.5), "mse")
        >>> rows = np.array([[1.0], [2.0], [3.0], [4.0]])
        >>> history = model.fit(rows, rows, batch_size=4, callbacks=[MicroBatches(steps=2)], verbose=0)
        >>> float(model.get_weights()[0][0, 0]), int(model.optimizer.iterations)  # 0.5 * 2 * mean(x * x)
        (7.5, 1)
    """

    name = "micro-batches"

    def __init__(self, *, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def install(self, model: keras.Model) -> None:
        for loss in keras.tree.flatten(getattr(model, "loss", None)):
            reduction = getattr(loss, "reduction", _MEANS[0])
            if reduction not in _MEANS:
                raise tfkit.ModelError(
                    f"micro-batches needs losses that are means over rows; {type(loss).__name__} has "
                    f"reduction={reduction!r}: pass reduction='sum_over_batch_size'"
                )
        super().install(model)

    def step(self, model: keras.Model, data: Any) -> dict[str, Any]:
        parts = _Parts(keras.utils.unpack_x_y_sample_weight(data), self.steps)
        total = _Total(model, parts.rows)
        sums = tf.while_loop(
            lambda number, sums: number < parts.count,
            lambda number, sums: (number + 1, total.plus(sums, parts.part(number))),
            (0, [tf.zeros_like(weight.value) for weight in model.trainable_weights]),
            parallel_iterations=1,
        )[1]
        sums = tf.cond(parts.left > 0, lambda: total.plus(sums, parts.rest()), lambda: sums)
        apply(model, [each if is_used else None for each, is_used in zip(sums, total.is_used)])
        return dict(model.get_metrics_result())


class _Parts:
    """A batch in parts of as many rows, and what is left. Shapes do not depend on a part's number, as jit wants."""

    def __init__(self, batch: Any, steps: int) -> None:
        self._batch = batch
        self.rows = rows_of(batch)
        self.count = tf.minimum(steps, self.rows)
        self._size = self.rows // tf.maximum(self.count, 1)
        self.left = self.rows - self.count * self._size
        self._stacked = self._map(self._stack)

    def part(self, number: Any) -> Any:
        return keras.tree.map_structure(lambda leaf: leaf if leaf is None else leaf[number], self._stacked)

    def rest(self) -> Any:
        return self._map(lambda leaf: leaf[self.rows - self.left :])

    def _stack(self, leaf: Any) -> Any:
        whole = leaf[: self.rows - self.left]
        shape = tf.concat([[self.count, self._size], tf.shape(leaf)[1:]], axis=0)
        return tf.ensure_shape(tf.reshape(whole, shape), [None, None, *leaf.shape[1:]])

    def _map(self, function: Any) -> Any:
        return keras.tree.map_structure(lambda leaf: leaf if leaf is None else function(_dense(leaf)), self._batch)


class _Total:
    """Sums gradients of parts, each by its share of the rows, and counts the parts in the logs."""

    def __init__(self, model: keras.Model, rows: Any) -> None:
        self._model = model
        self._rows = rows
        self.is_used: list[bool] = []

    def plus(self, sums: Any, part: Any) -> Any:
        share = tf.cast(rows_of(part), "float32") / tf.cast(self._rows, "float32")
        loss, y_pred, found = gradients(self._model, part, share)
        self.is_used = [each is not None for each in found]
        note(self._model, part, loss, y_pred)
        return [total if each is None else total + each for total, each in zip(sums, found)]


def _dense(leaf: Any) -> Any:
    if isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)):
        raise tfkit.ModelError(f"micro-batches splits dense tensors; the batch has a {type(leaf).__name__}")
    return tf.convert_to_tensor(leaf)
