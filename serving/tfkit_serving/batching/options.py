"""BatchingOptions: how large batches and their queues may grow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfkit_serving.configuration.text import parse_text
from tfkit_serving.protocol.messages import BatchingParameters


@dataclass(frozen=True)
class BatchingOptions:
    """Bounds of a batch and of a queue.

    Attributes:
        max_batch_size: Rows of a batch. A larger request runs alone.
        max_batch_bytes: Bytes of a batch's inputs, so that large rows do not fill the memory.
        max_enqueued_batches: Full batches that may wait in a queue; a request beyond is refused as UNAVAILABLE.
    """

    max_batch_size: int = 128
    max_batch_bytes: int = 16 << 20
    max_enqueued_batches: int = 100

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_batch_bytes", "max_enqueued_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of the batching parameters must be at least 1; got {getattr(self, name)}")

    @classmethod
    def from_file(cls, path: str | Path) -> BatchingOptions:
        """Reads TensorFlow Serving's batching parameters, a text proto.

        `max_batch_size` and `max_enqueued_batches` are taken. `batch_timeout_micros`, `num_batch_threads` and
        `allowed_batch_sizes` are read and have no use: a batch never waits, each queue runs one at a time, and none is
        padded.

        Raises:
            ValueError: The file is no such proto, or a bound is below 1.
            OSError: It cannot be read.
        """
        message = parse_text(Path(path), BatchingParameters())
        given = {
            name: getattr(message, name).value
            for name in ("max_batch_size", "max_enqueued_batches")
            if message.HasField(name)
        }
        return cls(**given)
