"""The strategy that puts everything on one device."""

from __future__ import annotations

import tensorflow as tf

from tfkit.attach.replicas.keras_repairs import repaired_for
from tfkit_strategies.devices import device_name


def one_device(*, device: str | None = None) -> tf.distribute.OneDeviceStrategy:
    """Makes a strategy that puts variables and computation on one device.

    Args:
        device: The device, such as "GPU:0"; None for the first GPU, else the CPU.

    Raises:
        DeviceNotFound: There is no such device.

    Example:
        >>> one_device(device="CPU:0").num_replicas_in_sync
        1
    """
    if device is None:
        device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    return repaired_for(tf.distribute.OneDeviceStrategy(device_name(device, "strategy 'one-device'")))
