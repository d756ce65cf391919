"""Spectral normalization as a constraint."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfkit_regularizers.matrix import as_matrix

# Up to this many units or inputs the largest singular value is exact; an eigenvalue of a larger matrix takes too long.
_EXACT = 128
_POWER_STEPS = 60


@keras.saving.register_keras_serializable(package="tfkit")
class Spectral(keras.constraints.Constraint):
    """Divides a kernel by its largest singular value after each update, so that a layer stretches nothing.

    A convolution's kernel is taken as a matrix of its flattened filters. Source: Spectral normalization for generative
    adversarial networks, Miyato et al. 2018, as a projection instead of a layer around the layer. The singular value
    is exact where the smaller side of that matrix has up to 128 rows, else by 60 power steps (to about .1%). A kernel
    of zeros and variables of one axis stay.

    Example:
        >>> Spectral()(keras.ops.array([[2.0, 0.0], [0.0, 1.0]])).numpy().tolist()
        [[1.0, 0.0], [0.0, 0.5]]
    """

    def __call__(self, weights: Any) -> Any:
        if len(weights.shape) < 2:
            return weights
        wide = tf.cast(tf.convert_to_tensor(weights), tf.float32)
        value = largest_singular_value(as_matrix(wide))
        return tf.cast(tf.math.divide_no_nan(wide, value), weights.dtype)


def largest_singular_value(matrix: Any) -> Any:
    """The largest singular value of a matrix, a scalar tensor.

    Example:
        >>> round(float(largest_singular_value(tf.constant([[3.0, 0.0], [0.0, 4.0]]))), 5)
        4.0
    """
    size = tf.reduce_max(tf.abs(matrix))
    matrix = tf.math.divide_no_nan(matrix, size)  # its square would be out of range for large and small weights
    gram = tf.matmul(matrix, matrix, transpose_a=matrix.shape[0] >= matrix.shape[1],
                     transpose_b=matrix.shape[0] < matrix.shape[1])  # fmt: skip
    if gram.shape[0] <= _EXACT:
        return size * tf.sqrt(tf.maximum(tf.linalg.eigvalsh(gram)[-1], 0.0))
    vector = tf.reduce_sum(gram, axis=1, keepdims=True) + tf.linalg.diag_part(gram)[:, None]
    for _ in range(_POWER_STEPS):
        vector = tf.linalg.l2_normalize(tf.matmul(gram, vector))
    return size * tf.sqrt(tf.norm(tf.matmul(gram, vector)))
