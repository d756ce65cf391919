"""BatchingOptions: how large batches and their queues may grow."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path

from tfkit_serving.configuration.text import parse_text
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import BatchingParameters

VERSION_FILE = "batching_params.pbtxt"
_LOG = logging.getLogger(__name__)
_FIELDS = {
    "max_batch_size": "max_batch_size",
    "max_enqueued_batches": "max_enqueued_batches",
    "num_batch_threads": "threads",
}
_UNUSED = {
    "batch_timeout_micros": "a batch never waits, it takes what came while the last one ran",
    "pad_variable_length_inputs": "rows of different shapes are batched apart",
}
# What the real server takes where allowed sizes are given and no largest one.
_REAL_BATCH_SIZE = 1000


@dataclass(frozen=True)
class BatchingOptions:
    """Bounds of a batch and of a queue.

    Attributes:
        max_batch_size: Rows of a batch. A larger request runs alone.
        max_batch_bytes: Bytes of a batch's inputs, so that large rows do not fill the memory.
        max_enqueued_batches: Full batches that may wait in a queue; a request beyond is refused as UNAVAILABLE.
        allowed_batch_sizes: Numbers of rows that the model is called with, ascending up to `max_batch_size`: a batch
            is padded to the next. None means any.
        threads: Calls of a version at once; 0 leaves that to the server.

    Example:
        >>> BatchingOptions(max_batch_size=8, allowed_batch_sizes=(2, 8)).padded(3)
        8
    """

    max_batch_size: int = 128
    max_batch_bytes: int = 16 << 20
    max_enqueued_batches: int = 100
    allowed_batch_sizes: tuple[int, ...] = ()
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_batch_bytes", "max_enqueued_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of the batching parameters must be at least 1; got {getattr(self, name)}")
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if sizes[0] < 1 or any(size >= following for size, following in itertools.pairwise(sizes)):
            raise ValueError(f"allowed_batch_sizes of the batching parameters must ascend from 1 or more; got {sizes}")
        if sizes[-1] != self.max_batch_size:
            raise ValueError(
                "the last of allowed_batch_sizes of the batching parameters must be the largest batch there may be, "
                f"{self.max_batch_size}; got {sizes[-1]}"
            )

    def padded(self, rows: int) -> int:
        """How many rows a batch of so many is run with."""
        if not rows or not self.allowed_batch_sizes:
            return rows
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    @classmethod
    def from_file(cls, path: str | Path) -> BatchingOptions:
        """Reads TensorFlow Serving's batching parameters, a text proto.

        Says in the log what has no use here: a batch never waits for others, rows are never made longer.

        Raises:
            ValueError: The file is no such proto, a bound is below 1, or the allowed sizes do not fit.
            OSError: It cannot be read.
        """
        message = parse_text(Path(path), BatchingParameters())
        for field, reason in _UNUSED.items():
            given = getattr(message, field)
            if getattr(given, "value", given):
                _LOG.warning("%s: %s changes nothing here: %s", path, field, reason)
        given = {name: getattr(message, field).value for field, name in _FIELDS.items() if message.HasField(field)}
        if message.enable_large_batch_splitting.value and message.HasField("max_execution_batch_size"):
            given["max_batch_size"] = message.max_execution_batch_size.value
        if message.allowed_batch_sizes:
            given.setdefault("max_batch_size", _REAL_BATCH_SIZE)
        if given.get("threads", 1) < 1:
            raise ValueError(f"num_batch_threads of the batching parameters must be at least 1; got {given['threads']}")
        return cls(**given, allowed_batch_sizes=tuple(message.allowed_batch_sizes))


def batching_of_version(folder: Path) -> BatchingOptions | None:
    """The bounds that a version brings along in `batching_params.pbtxt`; None where it has no such file.

    Raises:
        ServingError: INVALID_ARGUMENT: the file is wrong.
    """
    path = folder / VERSION_FILE
    try:
        return BatchingOptions.from_file(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ServingError("INVALID_ARGUMENT", str(error)) from error
