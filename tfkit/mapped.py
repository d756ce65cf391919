"""Arrays that are mapped into memory: many processes share one copy of the data."""

from __future__ import annotations

from typing import Any

from tfkit.nests import leaves


def is_mapped(part: Any) -> bool:
    """Whether there is an array that is mapped into memory: its rows are read when they are used, and not copied."""
    import numpy as np

    return any(isinstance(leaf, np.memmap) for leaf in leaves(part))


def gathered_rows(leaf: Any, rows: Any) -> Any:
    """Rows of an array, read by numpy: TensorFlow would copy the whole of it."""
    import tensorflow as tf

    dtype = tf.as_dtype(leaf.dtype)
    return tf.ensure_shape(tf.numpy_function(lambda which: leaf[which], [rows], dtype), (None, *leaf.shape[1:]))
