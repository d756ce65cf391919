"""A deadline for every fit that runs below it: what a time budget needs of the compressors that train."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras

_ends: ContextVar[float | None] = ContextVar("tfkit_deadline", default=None)


class Deadline(keras.callbacks.Callback):
    """Ends a fit at a point in time, after the batch that is running then.

    Args:
        ends: `time.monotonic()` at which the fit ends.

    Attributes:
        reached: Whether it has ended a fit.
    """

    def __init__(self, ends: float) -> None:
        super().__init__()
        self.ends = ends
        self.reached = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if time.monotonic() >= self.ends:
            self.reached = True
            self.model.stop_training = True


@contextlib.contextmanager
def deadline(ends: float) -> Iterator[None]:
    """Has each fit in the block that asks for `callbacks()` end at a point in time, `time.monotonic()`.

    Example:
        >>> with deadline(time.monotonic() + 60):
        ...     len(callbacks())
        1
        >>> callbacks()
        []
    """
    token = _ends.set(ends)
    try:
        yield
    finally:
        _ends.reset(token)


def callbacks() -> list[keras.callbacks.Callback]:
    """The callbacks that a compressor adds to its `fit`: a `Deadline` where one is set, else none."""
    ends = _ends.get()
    return [] if ends is None else [Deadline(ends)]
