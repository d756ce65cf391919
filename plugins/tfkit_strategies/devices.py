"""Names of devices, checked against those there are."""

from __future__ import annotations

import tensorflow as tf

from tfkit.errors import ParameterError


def device_name(name: str, owner: str) -> str:
    """The device in TensorFlow's own form, such as "/device:GPU:0".

    Args:
        name: "GPU:0", "/gpu:0", "/device:GPU:0"; without a number the first of its type.
        owner: Who asks, for the error's text.

    Raises:
        ParameterError: There is no such device; the text lists those there are.

    Example:
        >>> device_name("cpu:0", "strategy 'one-device'")
        '/device:CPU:0'
    """
    there = [device.name for device in tf.config.list_logical_devices()]
    try:
        spec = tf.DeviceSpec.from_string(name)
        found = f"/device:{spec.device_type}:{spec.device_index or 0}"
    except ValueError:
        found = name
    if found not in there:
        raise ParameterError(f"{owner} knows no device {name!r}; there are: {', '.join(each[8:] for each in there)}")
    return found
