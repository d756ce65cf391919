"""A deadline for every fit that runs below it: what a time budget needs of the compressors that train."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras


@dataclass
class Limit:
    """When fits end, and whether one was cut short by that.

    Attributes:
        ends: `time.monotonic()` at which they end.
        reached: Whether a fit was ended.
    """

    ends: float
    reached: bool = False


_limit: ContextVar[Limit | None] = ContextVar("tfkit_deadline", default=None)


class Deadline(keras.callbacks.Callback):
    """Ends a fit when its limit is reached, after the batch that is running then."""

    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self.limit = limit

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if time.monotonic() >= self.limit.ends:
            self.limit.reached = True
            self.model.stop_training = True


@contextlib.contextmanager
def deadline(ends: float) -> Iterator[Limit]:
    """Has each fit in the block that asks for `callbacks()` end at a point in time, `time.monotonic()`.

    Example:
        >>> with deadline(time.monotonic() + 60) as limit:
        ...     len(callbacks()), limit.reached
        (1, False)
        >>> callbacks()
        []
    """
    limit = Limit(ends)
    token = _limit.set(limit)
    try:
        yield limit
    finally:
        _limit.reset(token)


def callbacks() -> list[keras.callbacks.Callback]:
    """The callbacks that a compressor adds to its `fit`: a `Deadline` where one is set, else none."""
    limit = _limit.get()
    return [] if limit is None else [Deadline(limit)]
