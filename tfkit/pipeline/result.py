"""CompressionResult: what `tfkit.compress` made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.pipeline.rows import Row


@dataclass(frozen=True)
class CompressionResult:
    """What `tfkit.compress` made.

    Attributes:
        model: The compressed Keras model; where the last step made an artifact, the model it was made from.
        artifacts: Files by format, such as {"litert": path}.
        table: A row for the source, then one for each step: step, metric with metric_low and metric_high,
            parameters, nonzero, flops, bytes, gzip_bytes, latency_p50_ms, latency_p99_ms, agreement,
            expected_drop (of accuracy, on new rows), kept; a step's also notes and path. The metric is measured on
            the validation part; the last row has test_metric too where there is a test part. The source's row and
            that of the last Keras model that was kept have signature_p50_ms and signature_p99_ms, the latency
            through the serving signature; where the chain ends with a LiteRT file, the source's row has
            litert_path, litert_bytes, litert_p50_ms and litert_p99_ms, those of its own float file.
        front: The Pareto front of an automatic search, rows with the table's keys from the smallest (or
            fastest) up; None where the steps were given.
        candidates: All that an automatic search has measured, in its order, those that were refused or
            failed included (their rows have `error`); None where the steps were given.
        interrupted: Whether Ctrl-C ended an automatic search before its time.
    """

    model: Any
    artifacts: dict[str, Path]
    table: list[Row]
    front: list[Row] | None = None
    candidates: list[Row] | None = None
    interrupted: bool = False
