"""Metrics, each wrong in one respect. The table names them after the check that finds it."""

import keras
import tensorflow as tf
from keras import ops

registered = keras.saving.register_keras_serializable(package="bad_metrics")


@registered
class Good(keras.metrics.Metric):
    """The share of rows whose class is predicted."""

    def __init__(self, *, name="good", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.right = self.add_weight(name="right", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        hits = ops.cast(ops.equal(ops.cast(ops.ravel(y_true), "int64"), ops.argmax(y_pred, axis=-1)), "float32")
        weights = ops.ones_like(hits) if sample_weight is None else ops.cast(sample_weight, "float32")
        self.add(hits, weights, sample_weight is not None)

    def add(self, hits, weights, weighted):
        self.right.assign_add(ops.sum(hits * weights))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        return self.right / self.count


@registered
class NotANumber(Good):
    def result(self):
        return super().result() * float("nan")


@registered
class MeanOfBatches(Good):
    def add(self, hits, weights, weighted):
        self.right.assign_add(ops.sum(hits * weights) / ops.sum(weights))
        self.count.assign_add(1.0)


@registered
class NeverForgets(Good):
    def reset_state(self):
        pass


@registered
class CountsTheUnweighted(Good):
    def add(self, hits, weights, weighted):
        self.right.assign_add(ops.sum(hits * weights))
        self.count.assign_add(ops.sum(1.0 - weights if weighted else weights))


@registered
class CountsEveryRow(Good):
    def add(self, hits, weights, weighted):
        self.right.assign_add(ops.sum(hits * weights))
        self.count.assign_add(ops.sum(ops.ones_like(weights)))


@registered
class OtherInAGraph(Good):
    def add(self, hits, weights, weighted):
        super().add(hits if tf.executing_eagerly() else 0.5 * hits, weights, weighted)


@registered
class ForgetsItsFactor(Good):
    """Comes back with the same config, and does not use it."""

    def __init__(self, *, value, name="factor", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.value = self.used = value

    def result(self):
        return self.used * super().result()

    def get_config(self):
        return {**super().get_config(), "value": self.value}

    @classmethod
    def from_config(cls, config):
        made = cls(**config)
        made.used = 1.0
        return made
