"""The strategy that keeps a copy of the model on each device of one machine."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import tensorflow as tf

from tfkit.attach.replicas.keras_repairs import repaired_for
from tfkit_strategies.devices import device_names


def mirrored(*, devices: Sequence[str] | None = None) -> tf.distribute.MirroredStrategy:
    """Makes a strategy that splits each batch among devices and sums their gradients.

    Build and compile the model inside its `scope()`. The same devices give the same strategy again: TensorFlow mixes
    up what two of them exchange ("Shape mismatch in the collective instance").

    Args:
        devices: The devices, such as ("GPU:0", "GPU:1"); None for all GPUs, else all CPUs.

    Raises:
        DeviceNotFound: A device does not exist.
        ParameterError: A device comes twice.

    Example:
        >>> mirrored(devices=["CPU:0"]).num_replicas_in_sync
        1
    """
    if devices is not None:
        return repaired_for(_made(device_names(devices, "strategy 'mirrored'")))
    all_there_are = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return repaired_for(_made(tuple(device.name for device in all_there_are)))


@functools.cache
def _made(names: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    return tf.distribute.MirroredStrategy(names)
