"""report.html of a search: what was tried, what it reached, and what made a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfkit.pipeline.page import render, write_page
from tfkit.pipeline.search_charts import charts
from tfkit.pipeline.search_folder import SearchFolder, last_line


def write_search_report(found: SearchFolder) -> Path:
    """Writes report.html into the folder of a search, in one step; it may still be running.

    Args:
        found: The search's folder.

    Raises:
        ModuleNotFoundError: jinja2 or matplotlib is not installed.
    """
    names = list(dict.fromkeys(name for trial in found.trials for name in trial.values))
    text = render(
        "search_report.html.j2",
        folder=found.path.resolve().name,
        objective=found.objective,
        minimize=found.minimize,
        objectives=found.objectives,
        about=found.about,
        counts=found.counts,
        best=found.completed[0] if found.completed else None,
        charts=charts(found) if found.trials else [],
        names=names,
        trials=found.ranked,
        states=found.states,
        others=[name for name in found.goal.names if name != found.objective],
        constraints=found.constraints,
        unmet=found.unmet,
        failures=[_failure(trial) for trial in found.trials if trial.status == "FAILED"],
    )
    return write_page(found.path / "report.html", text)


def _failure(trial: Any) -> dict[str, str]:
    return {"id": trial.id, "told": last_line(trial), "error": trial.error or ""}
