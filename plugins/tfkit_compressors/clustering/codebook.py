"""Codebook: the few values that a kernel's weights share, and which weight has which."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit_compressors.clustering.kmeans import kmeans, nearest

# Fewer zeros than this share are chance; more are somebody's work, and stay.
_SPARSE = 0.01


class Codebook:
    """Gives every weight the mean of its cluster; zeros of a sparse kernel stay zeros.

    Of a gradient it makes the projection onto the weights that share values: the mean over each cluster, where Deep
    Compression takes the sum, which wants a smaller rate the larger the kernel is. An optimizer that gets it moves
    all weights of a cluster alike, whatever its moments; as a constraint it takes off what rounding leaves.

    Source: Deep Compression, Han, Mao and Dally 2016.

    Args:
        kernel: The variable, whose weights of this moment are clustered.
        clusters: Values to share, from 2 to 256, the zero of a sparse kernel among them.
    """

    def __init__(self, kernel: keras.Variable, clusters: int) -> None:
        weights = kernel.numpy().astype("float64")
        zeros = weights == 0
        self._is_sparse = bool(zeros.mean() >= _SPARSE)
        chosen = _apart(weights, zeros, clusters) if self._is_sparse else _chosen(weights, clusters)
        self._count = int(chosen.max()) + 1
        self._chosen = tf.Variable(chosen.astype("uint8"), trainable=False)

    def __call__(self, value: Any) -> Any:
        """The value with each weight replaced by the mean of its cluster, of the same shape and dtype."""
        value = tf.convert_to_tensor(value)
        chosen = tf.reshape(tf.cast(self._chosen, tf.int32), [-1])
        # The mean of equal numbers is that number in float64 alone; in float32 it would drift from step to step.
        wide = tf.cast(tf.reshape(value, [-1]), tf.float64)
        means = tf.math.unsorted_segment_mean(wide, chosen, self._count)
        if self._is_sparse:
            means = means * tf.constant([0.0] + [1.0] * (self._count - 1), tf.float64)
        return tf.reshape(tf.gather(tf.cast(means, value.dtype), chosen), tf.shape(value))


def _chosen(weights: np.ndarray, clusters: int) -> np.ndarray:
    """The cluster of each weight."""
    return nearest(weights, kmeans(weights, clusters))


def _apart(weights: np.ndarray, zeros: np.ndarray, clusters: int) -> np.ndarray:
    """The cluster of each weight, with zeros in the first one, which takes no other."""
    chosen = np.zeros(weights.shape, int)
    if not zeros.all():
        chosen[~zeros] = 1 + _chosen(weights[~zeros], clusters - 1)
    return chosen
