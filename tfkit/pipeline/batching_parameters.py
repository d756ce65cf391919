"""batching_parameters.txt: how large a server's batches may be, measured on the model that it serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tfkit.errors import VerificationError
from tfkit.formats.sidecar import read_sidecar
from tfkit.pipeline.comparison import in_fresh_process

# Sizes that are tried; a server pads a batch to the next of those allowed.
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A batch twice as large that brings less than this much more is not worth its latency.
_GAIN = 1.1


@dataclass(frozen=True)
class BatchingParameters:
    """What TensorFlow Serving's flag `--batching_parameters_file` reads.

    Attributes:
        sizes: Batch sizes allowed, ascending.
        timeout_micros: How long a batch may wait to fill.
        threads: Batches at once.
        milliseconds: Median latency of a batch by its size, as measured.
    """

    sizes: tuple[int, ...]
    timeout_micros: int
    threads: int
    milliseconds: Mapping[int, float]

    def as_text(self) -> str:
        """The file's text, protobuf's text format.

        Example:
            >>> print(BatchingParameters((1, 2), 90, 4, {1: 0.09, 2: 0.1}).as_text().splitlines()[2])
            max_batch_size { value: 2 }
        """
        told = ", ".join(f"{size}: {self.milliseconds[size]:.3g} ms" for size in sorted(self.milliseconds))
        lines = [
            "# Median latency of a batch by its rows, as measured on the machine that wrote this:",
            f"# {told}",
            f"max_batch_size {{ value: {self.sizes[-1]} }}",
            f"batch_timeout_micros {{ value: {self.timeout_micros} }}",
            f"max_enqueued_batches {{ value: {self.threads * 100} }}",
            f"num_batch_threads {{ value: {self.threads} }}",
            *(f"allowed_batch_sizes: {size}" for size in self.sizes),
        ]
        return "\n".join(lines) + "\n"


def measure_batches(directory: Path, *, max_latency_ms: float = 10.0) -> BatchingParameters:
    """Measures a SavedModel's latency by batch size, and says how large batches are worth while.

    Args:
        directory: A version folder.
        max_latency_ms: What a whole batch may take.

    Raises:
        VerificationError: It is no SavedModel, or does not run on made-up rows.

    Example:
        >>> measure_batches(Path("models/digits/1"))  # doctest: +SKIP
    """
    format = read_sidecar(directory)["format"]
    if format != "saved-model":
        raise VerificationError(f"{str(directory)!r} is {format}; batching parameters are for a SavedModel's server")
    found = in_fresh_process("latencies", directory, (format, {}), sizes=list(SIZES))
    return chosen_batches(dict(zip(SIZES, found, strict=True)), max_latency_ms)


def chosen_batches(milliseconds: Mapping[int, float], max_latency_ms: float) -> BatchingParameters:
    """The batch sizes that are worth while: doubled as long as rows a second grow by a tenth, within the latency.

    A batch waits no longer than one row takes by itself, so that an idle server answers within twice that.

    Args:
        milliseconds: Latency of a batch by its rows.
        max_latency_ms: What a batch may take.

    Example:
        >>> chosen_batches({1: 0.1, 2: 0.1, 4: 0.1, 8: 0.2}, 10.0).sizes
        (1, 2, 4)
    """
    sizes = sorted(milliseconds)
    kept = sizes[:1]
    for size in sizes[1:]:
        rate, before = size / milliseconds[size], kept[-1] / milliseconds[kept[-1]]
        if rate < before * _GAIN or milliseconds[size] > max_latency_ms:
            break
        kept.append(size)
    timeout = round(milliseconds[sizes[0]] * 1000)
    return BatchingParameters(tuple(kept), timeout, os.cpu_count() or 1, dict(milliseconds))
