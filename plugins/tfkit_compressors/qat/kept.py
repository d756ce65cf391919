"""What quantization keeps of a kernel: zeros that pruning made, and values that clustering shares."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfkit_compressors.shared_values import is_sparse, shared_means

# Kernels of more distinct values than this, or of more than one for every so many weights, are no clustered ones.
_MOST_CLUSTERS = 256
_WEIGHTS_PER_CLUSTER = 4


class Kept:
    """Puts a kernel's value back onto its zeros and clusters, with the gradient that trains them.

    The weights of a cluster take their mean, so that each of them gets the mean of their gradients: an
    optimizer then trains the shared value. Zeros stay zeros, whatever the optimizer does.

    Args:
        value: The kernel as it is before training, a numpy array.
        sparsity: Whether its zeros are kept, if it has any and other values too.
        clusters: Whether its clusters are kept, if it has any.

    Attributes:
        is_clustered: Whether the weights share few values.

    Example:
        >>> kept = Kept(np.array([0.0, 2.0, 2.0, 0.0, 5.0]), sparsity=True, clusters=False)
        >>> kept(tf.constant([0.5, 2.0, 3.0, 1.0, 5.0])).numpy().tolist()
        [0.0, 2.0, 3.0, 0.0, 5.0]
    """

    def __init__(self, value: Any, *, sparsity: bool, clusters: bool) -> None:
        self._mask = value != 0 if sparsity and is_sparse(value) else None
        distinct, members = np.unique(value, return_inverse=True)
        most = min(_MOST_CLUSTERS, value.size // _WEIGHTS_PER_CLUSTER)
        self.is_clustered = clusters and len(distinct) <= most and len(distinct) > 1
        self._members = members.reshape(-1).astype("int32") if self.is_clustered else None
        self._count = len(distinct)

    def __call__(self, value: Any) -> Any:
        if self._members is not None:
            value = shared_means(value, self._members, self._count)
        return value if self._mask is None else value * tf.constant(self._mask, value.dtype)


def distinct_values(variable: keras.Variable) -> int:
    """The number of distinct values of a variable."""
    return len(np.unique(variable.numpy()))
