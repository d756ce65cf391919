"""The table that a run ends with: a row for the float model and one for each compressed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfkit.data import Data
from tfkit.pipeline.context import Context
from tfkit.pipeline.evaluate import evaluate
from tfkit.pipeline.rows import Row, Yardstick
from tfkit.recipe import Step


def float_row(row: Row, path: Path) -> Row:
    """The source's row, under the name that the table gives it, and where the source lies."""
    return {**row, "step": "float", "path": str(path)}


def litert_rows(row: Row, model: Any, data: Data, metric: Step) -> list[Row]:
    """The float model as a LiteRT file: what a quantized LiteRT file is fairly compared with.

    Args:
        row: The source's row, which says where compress has put that file.
        model: The source.
        data: As for compress.
        metric: As for compress.

    Returns:
        One row, or none where there is no such file.
    """
    path = row.get("litert_path")
    if path is None:
        return []
    measured = Yardstick(model, data, metric).row("float-litert", Path(path), model=model)
    return [{**measured, "path": path}]


def tested_row(context: Context, row: Row) -> Row:
    """A row with the recipe's metrics on the test part (validation where there is none)."""
    data = context.data
    found = evaluate(context.path(row["path"]), data.arrays(data.held_out), context.recipe.metrics)
    return {**row, "part": data.held_out, "test": found}


def as_text(rows: Sequence[Row]) -> str:
    """The table in plain text: metrics as fractions, sizes in bytes, latencies in milliseconds at batch 1."""
    names = [name for name, value in rows[0]["test"].items() if isinstance(value, float)]
    header = ["model", *names, "parameters", "nonzero", "bytes", "gzip", "p50 ms", "p99 ms", "runtime"]
    lines = [header]
    for row in rows:
        figures = [f"{row['test'][name]:.4f}" for name in names]
        counts = [f"{row[key]}" for key in ("parameters", "nonzero", "bytes", "gzip_bytes")]
        times = [f"{row[key]:.3f}" for key in ("latency_p50_ms", "latency_p99_ms")]
        lines.append([row["step"], *figures, *counts, *times, runtime(row)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(_aligned(line, widths) for line in lines)


def runtime(row: Mapping[str, Any]) -> str:
    """What runs the row's model: LiteRT for a .tflite, TensorFlow for the others."""
    return "litert" if str(row["path"]).endswith(".tflite") else "tensorflow"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest, last = (cell.rjust(width) for cell, width in zip(line, widths))
    return "  ".join([first.strip().ljust(widths[0]), *rest, last.strip()])
