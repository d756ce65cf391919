"""What was predicted, remembered for as long as its label may come back: bounded in number and in age."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """What was answered to one request.

    Attributes:
        model: The model's name.
        version: The version that answered; None where it is not known.
        answers: One label (str) or value (float) per row, in order.
        label: The version label that the request was routed to; None without one.
    """

    model: str
    version: int | None
    answers: tuple[Any, ...]
    label: str | None = None


class PredictionMemory:
    """Predictions by request id; the oldest go first, when there are too many or they are too old.

    Args:
        size: Predictions kept at most.
        seconds: Age at which one is forgotten.
        clock: Seconds that never go back.

    Example:
        >>> memory = PredictionMemory(size=2)
        >>> for name in ("a", "b", "c"):
        ...     memory.remember(name, Prediction("digits", 1, ("7",)))
        >>> memory.look("digits", "a") is None, memory.look("digits", "c").answers
        (True, ('7',))
    """

    def __init__(
        self, size: int = 100_000, seconds: float = 86_400.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, Prediction]] = OrderedDict()

    def __len__(self) -> int:
        self._expire()
        return len(self._kept)

    def remember(self, request_id: str, prediction: Prediction) -> None:
        """Keeps a prediction; one of the same id and model is replaced."""
        key = (prediction.model, request_id)
        self._kept.pop(key, None)
        self._kept[key] = (self._clock(), prediction)
        self._expire()

    def look(self, model: str, request_id: str) -> Prediction | None:
        """The prediction of that id, which stays; None if there is none."""
        self._expire()
        found = self._kept.get((model, request_id))
        return None if found is None else found[1]

    def forget(self, model: str, request_id: str) -> None:
        """Drops the prediction of that id, if there is one."""
        self._kept.pop((model, request_id), None)

    def _expire(self) -> None:
        oldest = self._clock() - self._seconds
        while self._kept:
            key, (at, _) = next(iter(self._kept.items()))
            if at > oldest and len(self._kept) <= self._size:
                return
            del self._kept[key]
