"""The strategy that keeps a copy of the model on each core of a TPU."""

from __future__ import annotations

import functools

import tensorflow as tf

from tfkit.attach.replicas.keras_repairs import repaired_for
from tfkit.errors import DeviceNotFound


def tpu(*, name: str | None = None) -> tf.distribute.TPUStrategy:
    """Connects to a TPU through `TPUClusterResolver` and makes its strategy.

    Build and compile the model inside its `scope()`. Connecting wipes a TPU's memory, so the same name gives the same
    strategy again.

    Args:
        name: Name or address of the TPU, "local" on a TPU machine; None asks the environment.

    Raises:
        DeviceNotFound: There is no such TPU; the text says why, and lists the devices there are.
    """
    return repaired_for(_made(name))


@functools.cache
def _made(name: str | None) -> tf.distribute.TPUStrategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:  # each way of not being there is told by another type
        there = ", ".join(device.name[8:] for device in tf.config.list_logical_devices())
        what = "no TPU" if name is None else f"no TPU {name!r}"
        raise DeviceNotFound(
            f"strategy 'tpu' finds {what} ({' '.join(str(error).split())[:200]}); there are: {there}: "
            "pass name=… as TPUClusterResolver takes it, or use 'mirrored' on this machine"
        ) from error
    return tf.distribute.TPUStrategy(resolver)
