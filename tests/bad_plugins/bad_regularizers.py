"""Regularizers and constraints, each wrong in one respect. The table names them after the check that finds it."""

import keras
from keras import ops

registered = keras.saving.register_keras_serializable(package="bad_regularizers")


@registered
class BelowZero(keras.regularizers.Regularizer):
    def __init__(self, *, value):
        self.value = value

    def __call__(self, weights):
        return -self.value * ops.sum(ops.square(weights))

    def get_config(self):
        return {"value": self.value}


@registered
class RootOfZero(BelowZero):
    """The gradient of a square root at 0 is infinite."""

    def __call__(self, weights):
        return self.value * ops.sqrt(ops.sum(ops.square(weights)))


@registered
class PythonBranch(BelowZero):
    """`if` on a tensor, which Keras traces into a graph."""

    def __call__(self, weights):
        total = ops.sum(ops.square(weights))
        return self.value * total if total > 1.0 else 0.0 * total


@registered
class AlwaysFloat32(keras.constraints.Constraint):
    def __init__(self, *, value):
        self.value = value

    def __call__(self, weights):
        return ops.clip(ops.cast(weights, "float32"), -self.value, self.value)

    def get_config(self):
        return {"value": self.value}
