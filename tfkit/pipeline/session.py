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


def bound_tensorflow(threads: int) -> None:
    """Gives TensorFlow so many threads, and no more of a GPU's memory than it uses; it must not have begun yet."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    share_gpus()


def share_gpus() -> int:
    """Leaves the memory of GPUs that this process does not use to others; returns how many there are."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # it is in use already
            tf.config.experimental.set_memory_growth(gpu, True)
    return len(gpus)


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keeps TensorFlow's warnings, as those about retracing that many models in one process bring, off the screen."""
    import tensorflow as tf

    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)
