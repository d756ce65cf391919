"""Codebook: the few values that a kernel's weights share, and which weight has which."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit_compressors.clustering.kmeans import kmeans, nearest
from tfkit_compressors.shared_values import is_sparse, shared_means


class Codebook:
    """Gives every weight the mean of its cluster; zeros of a pruned kernel stay zeros.

    As the function of a gradient it gives each weight the mean of its cluster's gradients, where Deep Compression
    takes their sum, which wants a smaller rate the larger the kernel is. An optimizer that works weight by weight
    moves all weights of a cluster alike then; as a constraint it takes off what rounding leaves, and makes one value
    again of those that another optimizer moved apart.

    Source: Deep Compression, Han, Mao and Dally 2016.

    Args:
        kernel: The variable, whose weights of this moment are clustered.
        clusters: Values to share at most, from 2 to 256, the zero of a pruned kernel among them.
    """

    def __init__(self, kernel: keras.Variable, clusters: int) -> None:
        weights = kernel.numpy().astype("float64")
        self._is_sparse = is_sparse(weights)
        chosen = _apart(weights, clusters) if self._is_sparse else _chosen(weights, clusters)
        self._count = int(chosen.max()) + 1
        self._chosen = tf.Variable(chosen.astype("uint8"), trainable=False)

    def __call__(self, value: Any) -> Any:
        """The value with each weight replaced by the mean of its cluster, of the same shape and dtype."""
        value = tf.convert_to_tensor(value)
        chosen = tf.cast(self._chosen, tf.int32)
        means = shared_means(value, tf.reshape(chosen, [-1]), self._count)
        return tf.where(chosen == 0, tf.zeros([], value.dtype), means) if self._is_sparse else means


def _chosen(weights: np.ndarray, clusters: int) -> np.ndarray:
    """The cluster of each weight."""
    return nearest(weights, kmeans(weights, clusters))


def _apart(weights: np.ndarray, clusters: int) -> np.ndarray:
    """The cluster of each weight, with zeros in the first one, which takes no other."""
    chosen, others = np.zeros(weights.shape, int), weights != 0
    chosen[others] = 1 + _chosen(weights[others], clusters - 1)
    return chosen
