"""A penalty on units that look alike."""

from __future__ import annotations

from typing import Any

import keras

from tfkit_regularizers.matrix import as_matrix


@keras.saving.register_keras_serializable(package="tfkit")
class Orthogonal(keras.regularizers.Regularizer):
    """`factor` * the mean absolute cosine between any two units (filters) of a kernel.

    Keras's `OrthogonalRegularizer` for kernels of any rank: a convolution's filters are flattened. Where there are
    more units than inputs, which cannot all be orthogonal, the rows of inputs are made so instead. Variables of one
    axis have no penalty.

    Args:
        factor: Finite and >= 0.

    Example:
        >>> part = Orthogonal(factor=0.5)
        >>> round(float(part(keras.ops.array([[3.0, 1.0], [0.0, 1.0]]))), 4), float(part(2 * keras.ops.eye(4)))
        (0.1581, 0.0)
    """

    def __init__(self, *, factor: float) -> None:
        self.factor = factor

    def __call__(self, weights: Any) -> Any:
        if len(weights.shape) < 2:
            return keras.ops.zeros((), weights.dtype)
        matrix = as_matrix(weights)
        vectors = matrix if matrix.shape[0] <= matrix.shape[1] else keras.ops.transpose(matrix)
        if vectors.shape[0] < 2:
            return keras.ops.zeros((), weights.dtype)
        # Its own way to a length of 1 has no gradient where a vector is 0.
        squares = keras.ops.sum(keras.ops.square(vectors), axis=1, keepdims=True)
        return keras.regularizers.OrthogonalRegularizer(self.factor)(vectors / keras.ops.sqrt(squares + 1e-12))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}
