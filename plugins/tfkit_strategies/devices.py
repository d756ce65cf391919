"""Names of devices, checked against those there are."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfkit.errors import DeviceNotFound, ParameterError


def device_name(name: str, owner: str) -> str:
    """The device in TensorFlow's own form, such as "/device:GPU:0".

    Args:
        name: "GPU:0", "/gpu:0", "/device:GPU:0"; without a number the first of its type.
        owner: Who asks, for the error's text.

    Raises:
        DeviceNotFound: There is no such device; the text lists those there are.

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
        raise DeviceNotFound(f"{owner} knows no device {name!r}; there are: {', '.join(each[8:] for each in there)}")
    return found


def device_names(names: Sequence[str], owner: str) -> tuple[str, ...]:
    """Several devices in TensorFlow's own form.

    Raises:
        DeviceNotFound: As for `device_name`.
        ParameterError: One comes twice.
    """
    found = tuple(device_name(name, owner) for name in names)
    if len(set(found)) < len(found):
        raise ParameterError(f"{owner} takes each device once; got {', '.join(names)}")
    return found
