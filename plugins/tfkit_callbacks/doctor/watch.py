"""Counters in the training step: of labels and hits by class, of units that are silent, of time without a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.variables import layers_in


class Watch:
    """Counters that stand around methods of a model and of its layers, for one fit.

    Args:
        model: A built and compiled model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.is_timed = model.distribute_strategy.num_replicas_in_sync == 1 and not model.jit_compile
        self.classes: tf.Variable | None = None
        self.labels: tf.Variable | None = None
        self.times: tf.Variable | None = None
        self.alive: dict[str, tf.Variable] = {}
        self._around: list[tuple[Any, str, Callable[..., Any]]] = []

    def install(self) -> None:
        """Makes the counters and sets them around the methods; the step has to be traced anew after that."""
        with self.model.distribute_strategy.scope():
            self._count_labels()
            self._count_alive()
            if self.is_timed:
                self.times = tf.Variable([0.0, 0.0, 0.0, 0.0], dtype=tf.float64, trainable=False)
                self._wrap(self.model, "train_step", self._timed)

    def uninstall(self) -> None:
        """Takes all of it off."""
        for owner, name, function in self._around:
            remove_from_method(owner, name, function)
        self._around = []

    def reset(self) -> None:
        """Begins to count anew."""
        for counter in (self.classes, self.labels, *self.alive.values()):
            if counter is not None:
                counter.assign(tf.zeros_like(counter))

    def _wrap(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        wrap_method(owner, name, function)
        self._around.append((owner, name, function))

    def _count_labels(self) -> None:
        outputs = getattr(self.model, "outputs", None)
        if not outputs or len(outputs) != 1 or outputs[0].shape[-1] is None or len(outputs[0].shape) != 2:
            return
        columns = outputs[0].shape[-1]
        self.classes = _counter((2, max(columns, 2)))
        self.labels = _counter((3,))
        self._wrap(self.model, "compute_loss", self._labelled)

    def _labelled(self, compute: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(("x", "y", "y_pred", "sample_weight", "training"), args)) | kwargs
        y, y_pred = given.get("y"), given.get("y_pred")
        if given.get("training", True) and tf.is_tensor(y) and tf.is_tensor(y_pred):
            self._add_labels(y, y_pred)
        return compute(*args, **kwargs)

    def _add_labels(self, y: Any, y_pred: Any) -> None:
        columns = y_pred.shape[-1]
        flat = tf.cast(tf.reshape(y, (-1,)), tf.float64)
        self.labels.assign_add(
            tf.stack([tf.cast(tf.size(flat), tf.float64), tf.reduce_sum(flat), tf.reduce_sum(flat**2)])
        )
        if columns == 1:
            ids, decided = flat > 0.5, tf.reshape(y_pred, (-1,)) > 0.5
        elif y.shape.rank == 2 and y.shape[-1] == columns:
            ids, decided = tf.argmax(y, -1), tf.argmax(y_pred, -1)
        elif y.shape.rank == 1 or y.shape[-1] == 1:
            ids, decided = flat, tf.argmax(y_pred, -1)
        else:
            return
        ids, decided = tf.cast(ids, tf.int32), tf.cast(decided, tf.int32)
        size = self.classes.shape[1]
        counts = [tf.math.bincount(each, minlength=size, maxlength=size, dtype=tf.float64)
                  for each in (ids, tf.boolean_mask(ids, ids == decided))]  # fmt: skip
        self.classes.assign_add(tf.stack(counts))

    def _count_alive(self) -> None:
        for layer in layers_in(self.model):
            if _is_relu(layer) and getattr(layer, "output", None) is not None and layer.output.shape[-1]:
                counter = _counter((layer.output.shape[-1],))
                self.alive[layer.name] = counter
                self._wrap(layer, "call", _Alive(counter))

    def _timed(self, step: Callable[..., Any], data: Any) -> Any:
        """Adds to times: the end of the last step, seconds, those waited, steps."""
        with tf.control_dependencies([each for each in tf.nest.flatten(data) if tf.is_tensor(each)]):
            ready = tf.timestamp()
        last = self.times[0]
        before = len(_effects())
        logs = step(data)
        with tf.control_dependencies(_effects()[before:]):
            ended = tf.timestamp()
        added = tf.stack([ended - last, ready - last, tf.constant(1.0, tf.float64)])
        self.times.assign(tf.concat([[ended], self.times[1:] + tf.where(last == 0, tf.zeros_like(added), added)], 0))
        return logs


def _effects() -> list[tf.Operation]:
    """What the graph that is being traced has changed so far, such as weights; eagerly it is done already."""
    if tf.executing_eagerly():
        return []
    return [each for each in tf.compat.v1.get_default_graph().get_operations() if each._is_stateful]


class _Alive:
    """Counts for each unit how often it gave something else than 0."""

    def __init__(self, counter: tf.Variable) -> None:
        self.counter = counter

    def __call__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        rows = tf.reshape(tf.cast(outputs > 0, tf.float64), (-1, self.counter.shape[0]))
        self.counter.assign_add(tf.reduce_sum(rows, axis=0))
        return outputs


def _is_relu(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    return getattr(layer, "activation", None) is keras.activations.relu


def _counter(shape: tuple[int, ...]) -> tf.Variable:
    """A float64 counter that each replica adds to for itself."""
    return tf.Variable(
        tf.zeros(shape, tf.float64),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )
