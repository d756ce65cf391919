"""What callback "doctor" has found wrong with the training of a run, kept in its folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfkit.errors import ModelError
from tfkit.factory import create
from tfkit.registry import installed

FILE, HISTORY = "doctor.json", "history.json"

Finding = dict[str, Any]


# Callbacks of every training of a recipe, and what tells that one like it is there already.
_WATCHERS = {"terminate-on-nan": "stopped_at", "doctor": "findings"}


def with_watchers(callbacks: Sequence[Any]) -> list[Any]:
    """Callbacks of a fit, with one that ends it at NaN and a doctor after them where there are none yet.

    What is not installed is left out.
    """
    names = {row.name for row in installed().select("callback")}
    missing = [
        name
        for name, attribute in _WATCHERS.items()
        if name in names and not any(hasattr(each, attribute) for each in callbacks)
    ]
    return [*callbacks, *(create("callback", name) for name in missing)]


def findings_of(callbacks: Sequence[Any]) -> list[Finding]:
    """What the doctor among callbacks has found, in plain Python: fault, evidence, advice and severity of each."""
    found: list[Any] = next((each.findings for each in callbacks if hasattr(each, "findings")), [])
    return [dataclasses.asdict(each) for each in found]


def findings_in(folder: Path) -> list[Finding]:
    """What was found in a run, or else what its curves tell.

    Args:
        folder: Of a run that has trained its model.

    Raises:
        ModelError: It holds neither.
    """
    if (folder / FILE).exists():
        kept: list[Finding] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return kept
    if not (folder / HISTORY).exists():
        raise ModelError(
            f"{folder} has no {FILE} and no {HISTORY}: give the folder of a run that has trained its model"
        )
    history = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    return [dataclasses.asdict(each) for each in create("callback", "doctor").diagnose(history)]
