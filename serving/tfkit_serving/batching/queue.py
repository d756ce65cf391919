"""RowQueue: requests of one kind that wait for their turn, and how a batch is made of them and taken apart."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

import numpy as np

from tfkit_serving.batching.options import BatchingOptions

Arrays = Mapping[str, np.ndarray]


@dataclass(eq=False)
class Waiting:
    """A request that waits.

    Attributes:
        inputs: Arrays that agree in their first dimension.
        rows: That dimension.
        result: The outputs, to come.
        since: When it came, by the monotonic clock.
    """

    inputs: Arrays
    rows: int
    result: asyncio.Future[Arrays]
    since: float = field(default_factory=monotonic)

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs; strings count as their references."""
        return sum(each.nbytes for each in self.inputs.values())


class RowQueue:
    """Requests whose rows are alike, in the order of their coming.

    Attributes:
        rows: Rows that wait.
    """

    def __init__(self, options: BatchingOptions) -> None:
        self.rows = 0
        self._options = options
        self._requests: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return self.rows >= self._options.max_batch_size * self._options.max_enqueued_batches

    def put(self, request: Waiting) -> None:
        """Adds a request."""
        self._requests.append(request)
        self.rows += request.rows

    def take(self) -> list[Waiting]:
        """The next batch: requests from the front as far as the bounds allow, at least one if any is wanted still."""
        taken: list[Waiting] = []
        rows = size = 0
        while self._requests:
            request = self._requests[0]
            if taken and (rows + request.rows > self._options.max_batch_size or self._too_large(size, request)):
                break
            self._requests.popleft()
            self.rows -= request.rows
            if request.result.done():  # whoever asked has gone
                continue
            taken.append(request)
            rows += request.rows
            size += request.nbytes
        return taken

    def _too_large(self, size: int, request: Waiting) -> bool:
        return size + request.nbytes > self._options.max_batch_bytes


def concatenated(requests: list[Waiting], padding: int = 0) -> Arrays:
    """The inputs of a batch.

    Args:
        requests: The batch's.
        padding: How many rows to add: repeats of one that is there, so that no value is new to the model.

    Example:
        >>> requests = [Waiting({"x": np.full((n, 2), n)}, n, None) for n in (1, 3)]
        >>> concatenated(requests, 1)["x"].shape
        (5, 2)
    """
    first = requests[0].inputs
    if len(requests) == 1 and not padding:
        return first
    return {name: _joined([each.inputs[name] for each in requests], padding) for name in first}


def _joined(parts: list[np.ndarray], padding: int) -> np.ndarray:
    if padding:
        row = next(each for each in parts if len(each))[:1]
        parts = [*parts, np.repeat(row, padding, axis=0)]
    return np.concatenate(parts)


def split(outputs: Arrays, requests: list[Waiting], size: int) -> list[dict[str, np.ndarray]] | None:
    """The outputs of each request of a batch; None if they do not have the batch's rows.

    Args:
        outputs: The batch's.
        requests: Its requests.
        size: The rows that it was run with, padding included.

    Example:
        >>> requests = [Waiting({"x": np.ones((n, 2))}, n, None) for n in (1, 3)]
        >>> [each["y"].tolist() for each in split({"y": np.arange(5)}, requests, 5)]
        [[0], [1, 2, 3]]
    """
    if any(each.ndim == 0 or len(each) != size for each in outputs.values()):
        return None
    parts: list[dict[str, np.ndarray]] = []
    start = 0
    for each in requests:
        parts.append({name: array[start : start + each.rows] for name, array in outputs.items()})
        start += each.rows
    return parts
