"""report.html: one file that opens without a network."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tfkit.errors import RunError, SearchError, TfkitError
from tfkit.pipeline.charts import confusion, front_chart, learning_curves, sensitivity_chart, trial_scores
from tfkit.pipeline.context import Context
from tfkit.pipeline.evaluate import evaluate
from tfkit.pipeline.folder import RunFolder
from tfkit.pipeline.page import render, write_page
from tfkit.pipeline.search_charts import charts
from tfkit.pipeline.search_folder import open_search
from tfkit.pipeline.table import runtime


def write_report(folder: Path) -> Path:
    """Writes report.html of a run from the JSON files in its folder, in one step.

    Args:
        folder: The run's folder, its report stage finished or nearly so.

    Raises:
        RunError: The folder is no run.
    """
    state = RunFolder(folder).state
    rows, about = _read(folder, "table.json"), _read(folder, "report.json", {})
    history, trials = _read(folder, "history.json", {}), _read(folder, "trials.json")
    compressed = _read(folder, "compress.json", {"rows": []})
    sensitivity = _read(folder, "sensitivity.json", [])
    stages = {stage["name"]: stage for stage in state["stages"]}
    text = render(
        "report.html.j2",
        recipe=state["recipe"],
        run=folder.name,
        smoke=about.get("smoke", False),
        rows=[_shown(row, rows[0]) for row in rows],
        metrics=[name for name, value in rows[0]["test"].items() if isinstance(value, float)],
        part=rows[0]["part"],
        stages=state["stages"],
        undone=[row for row in compressed["rows"] if not row["kept"]],
        baseline=stages.get("baseline", {}).get("metrics", {}).get("constant", {}),
        curves=learning_curves(history) if history else "",
        matrices={name: confusion(matrix) for name, matrix in about.get("matrices", {}).items()},
        trials=trials,
        trial_chart=trial_scores(trials["trials"], trials["objective"], minimize=trials["minimize"]) if trials else "",
        search_charts=_search_charts(folder / "search"),
        compressed=compressed,
        front=compressed.get("front") or [],
        front_chart=front_chart(compressed) if compressed.get("front") else "",
        sensitivity=sensitivity,
        sensitivity_chart=sensitivity_chart(sensitivity) if sensitivity else "",
        versions=about.get("versions", {}),
    )
    return write_page(folder / "report.html", text)


def _read(folder: Path, name: str, default: Any = None) -> Any:
    path = folder / name
    return json.loads(path.read_text()) if path.exists() else default


def _search_charts(folder: Path) -> list[dict[str, str]]:
    """The charts of the search besides its history; none where its database is gone or cannot be read."""
    try:
        return charts(open_search(folder))[1:]
    except (RunError, SearchError):
        return []


def _shown(row: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "runtime": runtime(row), "smaller": source["bytes"] / max(row["bytes"], 1)}


def matrices(context: Context, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Confusion matrices on the held-out part, of the first row and the last; none for what is no classification."""
    data = context.data
    chosen = [rows[0]] if len(rows) == 1 else [rows[0], rows[-1]]
    try:
        return {
            row["step"]: evaluate(context.path(row["path"]), data.arrays(data.held_out), ["confusion-matrix"])[
                "confusion-matrix"
            ]
            for row in chosen
        }
    except (TfkitError, ValueError):
        return {}


def versions() -> dict[str, str]:
    """Versions of Python and of what the report rests on, and the machine."""
    names = ("tfkit-keras", "tensorflow", "keras", "keras-tuner", "tensorflow-model-optimization", "ai-edge-litert")
    found = {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
