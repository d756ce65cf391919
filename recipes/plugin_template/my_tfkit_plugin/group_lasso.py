"""The group-lasso regularizer."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="my_tfkit_plugin")
class GroupLasso(keras.regularizers.Regularizer):
    """`factor * sqrt(n) * sum over units of sqrt(sum of the unit's n squared incoming weights + epsilon)`.

    A unit is an index of the last axis. Source: Scardapane et al. 2017, Group Sparse Regularization for Deep
    Neural Networks.

    Args:
        factor: Factor of the penalty.
        epsilon: Added under each root: keeps the gradient finite where all weights of a unit are 0.

    Example:
        >>> round(float(GroupLasso(factor=1.0)(ops.convert_to_tensor([[3.0, 0.0], [4.0, 0.0]]))), 4)
        7.0711
    """

    def __init__(self, *, factor: float, epsilon: float = 1e-12) -> None:
        self.factor = factor
        self.epsilon = epsilon

    def __call__(self, weights: Any) -> Any:
        """The penalty of a kernel, as a scalar."""
        size = math.prod(weights.shape[:-1])
        squares = ops.sum(ops.square(ops.reshape(weights, (size, weights.shape[-1]))), axis=0)
        return self.factor * math.sqrt(size) * ops.sum(ops.sqrt(squares + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """The arguments, so that Keras can save the regularizer with a model."""
        return {"factor": self.factor, "epsilon": self.epsilon}
