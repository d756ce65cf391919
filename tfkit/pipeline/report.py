"""report.html: one file that opens without a network."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from tfkit.errors import TfkitError
from tfkit.pipeline.charts import confusion, learning_curves, trial_scores
from tfkit.pipeline.context import Context
from tfkit.pipeline.evaluate import evaluate
from tfkit.pipeline.table import runtime


def write_report(context: Context, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes report.html into the run's folder, in one step.

    Args:
        context: The run.
        rows: The table's rows, with the metrics on the test part.
    """
    history = context.read("history.json", {})
    trials = context.read("trials.json")
    matrices = {} if context.recipe.metrics is None else _matrices(context, rows)
    text = _render(
        recipe=context.recipe.name,
        run=context.folder.path.name,
        smoke=context.smoke,
        rows=[_shown(row, rows[0]) for row in rows],
        metrics=[name for name, value in rows[0]["test"].items() if isinstance(value, float)],
        part=rows[0]["part"],
        stages=context.folder.state["stages"],
        undone=[row for row in context.read("compress.json", {"rows": []})["rows"] if not row["kept"]],
        baseline=(context.folder.finished("baseline") or {}).get("metrics", {}).get("constant", {}),
        curves=learning_curves(history) if history else "",
        matrices={name: confusion(matrix) for name, matrix in matrices.items()},
        trials=trials,
        trial_chart=trial_scores(trials["trials"], trials["objective"], minimize=trials["minimize"]) if trials else "",
        versions=_versions(),
    )
    path = context.path("report.html")
    aside = path.with_name(".report.html.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
    return path


def _render(**values: Any) -> str:
    import jinja2

    template = files("tfkit.pipeline").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(**values)


def _shown(row: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "runtime": runtime(row), "smaller": source["bytes"] / max(row["bytes"], 1)}


def _matrices(context: Context, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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


def _versions() -> dict[str, str]:
    names = ("tfkit-keras", "tensorflow", "keras", "keras-tuner", "tensorflow-model-optimization", "ai-edge-litert")
    found = {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
