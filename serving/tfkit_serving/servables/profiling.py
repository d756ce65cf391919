"""start and stop: a trace of what TensorFlow does in this process. Imports TensorFlow."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf

# TensorFlow's profiler is one a process, too.
_folders: list[tempfile.TemporaryDirectory[str]] = []


def start() -> bytes:
    """Begins to watch this process; empty, as nothing has been seen.

    Raises:
        tf.errors.AlreadyExistsError: It is watched already.
    """
    folder = tempfile.TemporaryDirectory(prefix="tfkit-profile-")
    try:
        tf.profiler.experimental.start(folder.name)
    except BaseException:
        folder.cleanup()
        raise
    _folders.append(folder)
    return b""


def stop() -> bytes:
    """Ends what `start` began: a serialized XSpace, as TensorBoard reads it; empty where nothing was seen."""
    tf.profiler.experimental.stop()
    with _folders.pop() as folder:
        return b"".join(each.read_bytes() for each in sorted(Path(folder).rglob("*.xplane.pb")))
