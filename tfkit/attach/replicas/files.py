"""One directory of a backup for each worker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from tfkit.attach.guard import running_callbacks
from tfkit.cluster import cluster_here
from tfkit.errors import ModelError
from tfkit.progress import say

# What Keras's BackupAndRestore derives from its directory.
_PATHS = (
    "backup_dir",
    "_weights_path",
    "_training_metadata_path",
    "_prev_weights_path",
    "_prev_training_metadata_path",
)


@contextlib.contextmanager
def apart(guard: keras.callbacks.Callback) -> Iterator[None]:
    """Within it the BackupAndRestore callbacks of this fit write below their directory, each worker to its own.

    Workers that share one write over each other. tfkit's own backup does so by itself.

    Args:
        guard: The callback that asks.

    Raises:
        ModelError: One of them stands before it, and has looked for its backup already.
    """
    running, here = running_callbacks(), cluster_here()
    if running is None or here is None:
        yield
        return
    found = [each for each in running.callbacks if isinstance(each, keras.callbacks.BackupAndRestore)]
    early = [each for each in found if running.callbacks.index(each) < running.callbacks.index(guard)]
    if early:
        raise ModelError(
            "BackupAndRestore stands before the strategy's callback, and would share its directory with other workers: "
            "put the strategy's callback first, or pass tfkit.callback('callback', 'backup', directory=…)"
        )
    before = [{name: getattr(each, name) for name in _PATHS} for each in found]
    for each in found:
        say(f"strategy: BackupAndRestore keeps {Path(each.backup_dir, here.name)} for this worker")
        for name in _PATHS:
            setattr(each, name, _below(each, name, here.name))
    try:
        yield
    finally:
        for each, paths in zip(found, before):
            vars(each).update(paths)


def _below(callback: Any, name: str, folder: str) -> str:
    path = Path(getattr(callback, name))
    return str(path / folder if name == _PATHS[0] else path.parent / folder / path.name)
