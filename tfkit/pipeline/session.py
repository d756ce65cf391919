"""What a run does to the process it is in: models of the past are freed, TensorFlow kept quiet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def clear_session() -> None:
    """Frees the models that were built so far, and keeps the dtype policy, which Keras's own call forgets."""
    import keras

    policy = keras.config.dtype_policy()
    keras.backend.clear_session()  # Collects garbage too.
    keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keeps TensorFlow's warnings about retracing, which many models in one process bring, off the screen."""
    import tensorflow as tf

    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)
