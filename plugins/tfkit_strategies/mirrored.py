"""The strategy that keeps a copy of the model on each device of one machine."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfkit.errors import ParameterError
from tfkit_strategies.devices import device_name


def mirrored(*, devices: Sequence[str] | None = None) -> tf.distribute.MirroredStrategy:
    """Makes a strategy that splits each batch among devices and sums their gradients.

    Build and compile the model inside its `scope()`.

    Args:
        devices: The devices, such as ("GPU:0", "GPU:1"); None for all GPUs, else all CPUs.

    Raises:
        ParameterError: A device does not exist or comes twice.

    Example:
        >>> mirrored(devices=["CPU:0"]).num_replicas_in_sync
        1
    """
    if devices is None:
        return tf.distribute.MirroredStrategy()
    names = [device_name(device, "strategy 'mirrored'") for device in devices]
    if len(set(names)) < len(names):
        raise ParameterError(f"strategy 'mirrored' takes each device once; got {', '.join(devices)}")
    return tf.distribute.MirroredStrategy(names)
