"""Schedules, each wrong in one respect. The table names them after the check that finds it."""

import keras
import tensorflow as tf
from keras import ops

registered = keras.saving.register_keras_serializable(package="bad_schedules")


@registered
class Good(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, *, value):
        super().__init__()
        self.value = value

    def __call__(self, step):
        return self.value / (1.0 + ops.cast(step, "float32"))

    def get_config(self):
        return {"value": self.value}


@registered
class WithOffset(Good):
    def __init__(self, *, value, offset=-1.0):
        super().__init__(value=value)
        self.offset = offset


@registered
class WithNames(Good):
    def __init__(self, *, value, names=frozenset()):
        super().__init__(value=value)


@registered
class OtherDefault(Good):
    def __init__(self, *, value, offset=1.0):
        super().__init__(value=value)


@registered
class Extra(Good):
    def __init__(self, *, value, hidden=1.0):
        super().__init__(value=value)


@registered
class Even(Good):
    def __init__(self, *, value, steps=2):
        super().__init__(value=value)


@registered
class Rates(Good):
    def __init__(self, *, value, rates=(1.0,)):
        super().__init__(value=value)


class NoSchedule:
    def __init__(self, *, value):
        self.value = value


@registered
class ConfigOfMore(Good):
    def get_config(self):
        return {"value": self.value, "calls": 0}


@registered
class ConfigOfLess(Good):
    def __init__(self, *, value, offset=0.0):
        super().__init__(value=value)
        self.offset = offset


@registered
class Float64(Good):
    def __call__(self, step):
        return ops.cast(super().__call__(step), "float64")


@registered
class BelowZero(Good):
    def __call__(self, step):
        return self.value - 0.001 * ops.cast(step, "float32")


@registered
class Remembers(Good):
    """Never rises again, because it remembers the lowest rate that it gave."""

    lowest = float("inf")

    def __call__(self, step):
        rate = super().__call__(step)
        if not tf.executing_eagerly():
            return rate
        self.lowest = min(self.lowest, float(rate))
        return tf.constant(self.lowest, tf.float32)


@registered
class OtherInAGraph(Good):
    def __call__(self, step):
        return super().__call__(step if tf.executing_eagerly() else tf.minimum(step, 50))


@registered
class PythonBranch(Good):
    """`if` on a tensor: autograph mends that in a tf.function, Keras's fit does without autograph."""

    def __call__(self, step):
        if tf.cast(step, tf.float32) < 5.0:
            return tf.constant(self.value, tf.float32)
        return tf.constant(self.value / 2, tf.float32)


@registered
class OneStepTooFew:
    """Batch sizes whose fit leaves the last batch of an epoch out."""

    def __init__(self, *, value):
        self.value = value

    def size(self, epoch):
        return 8

    def fit_arguments(self, data, epochs, shuffle=True, seed=0):
        x, y = data
        return {"x": x[:24], "y": y[:24], "batch_size": 8, "epochs": epochs}

    def callback(self):
        return keras.callbacks.Callback()

    def get_config(self):
        return {"value": self.value}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
