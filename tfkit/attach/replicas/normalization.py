"""BatchNormalization that takes its statistics over the whole batch, not over each replica's part of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from tfkit.progress import say


@contextlib.contextmanager
def synchronized(model: keras.Model) -> Iterator[None]:
    """Within it every BatchNormalization of a model is synchronized.

    Else each replica normalizes by its own part, and the moving statistics, which inference and saving take from the
    first replica, are those of that part alone.
    """
    layers = [each for each in model._flatten_layers() if _is_apart(each)]
    if layers:
        names = ", ".join(each.name for each in layers)
        say(f"strategy: {names} takes its statistics over all replicas in this fit (synchronized=True)")
    for each in layers:
        each.synchronized = True
    try:
        yield
    finally:
        for each in layers:
            each.synchronized = False


def _is_apart(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable and not layer.synchronized
