"""Counters in the training step: of labels and hits by class, of units that are silent, of time without a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.losses import loss_arguments
from tfkit.attach.methods import remove_from_method, wrap_method
from tfkit.attach.variables import layers_in

# Losses whose constant answer is known: those of a mean of squares, and of classes.
_SQUARED = ("mse", "meansquarederror")
_CROSSENTROPIES = ("sparsecategoricalcrossentropy", "categoricalcrossentropy", "binarycrossentropy")


class Watch:
    """Counters that stand around methods of a model and of its layers, for one fit.

    Args:
        model: A built and compiled model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.is_timed = model.distribute_strategy.num_replicas_in_sync == 1 and not model.jit_compile
        self.classes: tf.Variable | None = None
        self.squared: tf.Variable | None = None
        self.is_weighted = False
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
        for counter in (self.classes, self.squared, *self.alive.values()):
            if counter is not None:
                counter.assign(tf.zeros_like(counter))

    def _wrap(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        wrap_method(owner, name, function)
        self._around.append((owner, name, function))

    def _count_labels(self) -> None:
        outputs = getattr(self.model, "outputs", None)
        if not outputs or len(outputs) != 1 or outputs[0].shape[-1] is None or len(outputs[0].shape) != 2:
            return
        loss = _loss(self.model)
        columns = outputs[0].shape[-1]
        if loss in _SQUARED:
            self.squared = _counter((3, columns))
        elif loss in _CROSSENTROPIES and not (loss.startswith("binary") and columns > 1):
            self.classes = _counter((2, max(columns, 2)))
        else:
            return
        self._wrap(self.model, "compute_loss", self._labelled)

    def _labelled(self, compute: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        given = loss_arguments(args, kwargs)
        y, y_pred = given.get("y"), given.get("y_pred")
        if given.get("training", True) and tf.is_tensor(y) and tf.is_tensor(y_pred):
            self.is_weighted = self.is_weighted or given.get("sample_weight") is not None
            if self.squared is not None:
                self._add_squares(y)
            else:
                self._add_classes(y, y_pred)
        return compute(*args, **kwargs)

    def _add_squares(self, y: Any) -> None:
        columns = tf.cast(tf.reshape(y, (-1, self.squared.shape[1])), tf.float64)
        self.squared.assign_add(tf.reduce_sum(tf.stack([tf.ones_like(columns), columns, columns**2]), axis=1))

    def _add_classes(self, y: Any, y_pred: Any) -> None:
        columns = y_pred.shape[-1]
        if columns == 1:
            cut = 0.0 if getattr(self.model.loss, "from_logits", False) else 0.5
            ids, decided = tf.reshape(tf.cast(y, tf.float32), (-1,)) > 0.5, tf.reshape(y_pred, (-1,)) > cut
        elif y.shape.rank == 2 and y.shape[-1] == columns:
            ids, decided = tf.argmax(y, -1), tf.argmax(y_pred, -1)
        elif y.shape.rank == 1 or y.shape[-1] == 1:
            ids, decided = tf.reshape(y, (-1,)), tf.argmax(y_pred, -1)
        else:
            return
        ids, decided = tf.cast(ids, tf.int32), tf.cast(decided, tf.int32)
        # Labels that a loss ignores, such as -1, have no column: their row is of zeros.
        rows = tf.one_hot(ids, self.classes.shape[1], dtype=tf.float64)
        hits = rows * tf.cast(ids == decided, tf.float64)[:, None]
        self.classes.assign_add(tf.stack([tf.reduce_sum(rows, axis=0), tf.reduce_sum(hits, axis=0)]))

    def _count_alive(self) -> None:
        for layer in layers_in(self.model):
            units = _units(layer) if _is_relu(layer) else None
            if units:
                counter = _counter((units,))
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
        if not tf.is_tensor(outputs):
            return outputs
        rows = tf.reshape(tf.cast(outputs > 0, tf.float64), (-1, self.counter.shape[0]))
        self.counter.assign_add(tf.reduce_sum(rows, axis=0))
        return outputs


def _is_relu(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    return getattr(layer, "activation", None) is keras.activations.relu


def _units(layer: keras.layers.Layer) -> int | None:
    """Units of a layer with one output, by its last axis; None where that is not known."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # several outputs, several calls, or never called in a graph
        return None
    return shape[-1] if len(shape) > 1 else None


def _loss(model: keras.Model) -> str:
    """The loss as Keras calls it, in small letters without underscores; empty for a list or dict of losses."""
    loss = model.loss
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return name.replace("_", "").lower() if isinstance(name, str) else ""


def _counter(shape: tuple[int, ...]) -> tf.Variable:
    """A float64 counter that each replica adds to for itself."""
    return tf.Variable(
        tf.zeros(shape, tf.float64),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )
