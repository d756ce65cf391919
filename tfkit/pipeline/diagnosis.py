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


def with_doctor(callbacks: Sequence[Any]) -> list[Any]:
    """Callbacks of a fit, and a doctor at their end where there is none yet and one is installed."""
    rows = installed().select("callback")
    if any(hasattr(each, "findings") for each in callbacks) or not any(row.name == "doctor" for row in rows):
        return list(callbacks)
    return [*callbacks, create("callback", "doctor")]


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
