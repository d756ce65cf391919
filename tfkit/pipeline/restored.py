"""restore: an automatic search as an earlier call has left it, from its journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfkit.models import load_model
from tfkit.pipeline import moves
from tfkit.pipeline.arms import Arm
from tfkit.pipeline.candidates import Search
from tfkit.pipeline.copies import recompiled
from tfkit.pipeline.rows import PATHS, Row, litert_columns
from tfkit.progress import say


def restore(search: Search) -> None:
    """Takes over what the journal holds: candidates whose files are there still, and their arms with their weights.

    Whether a candidate is kept is judged anew, by the bound of this call.

    Args:
        search: A search that has measured nothing.
    """
    first, *rest = search.journal.rows
    search.rows.append({**litert_columns(None), **first})
    search.clock.reserve = 1.0 + 1.2 * first["seconds"]
    arms: dict[str, Arm] = {}
    ways = dict([*moves.finishes(search.yardstick.source), *moves.finishes_in_keras()])
    for row in rest:
        if "error" not in row and not all(Path(row[key]).exists() for key in PATHS if key in row):
            continue
        search.rows.append(row)
        if "error" not in row:
            _take(search, row, arms, ways)
    unchanged = arms.pop("{}", None)
    made = unchanged.finished if unchanged else set()
    search.finishes.extend((label, way) for label, way in ways.items() if label in made)
    search.sort_finishes()
    search.arms.extend(arm for arm in arms.values() if not _awaits_training(search, arm) and _trained_on(search, arm))
    say(f"compress: goes on after {len(search.rows) - 1} candidates of an earlier call")


def _take(search: Search, row: Row, arms: dict[str, Arm], ways: dict[str, Any]) -> None:
    """A row as a candidate, and what it says of its arm."""
    settings, label = row.get("settings"), row.get("finish")
    if settings is None:  # the source's own float file
        search.judged(row)
        search.source_row.update(litert_columns(row))
        return
    arm = arms.setdefault(repr(settings), Arm(settings, search.yardstick.source))
    found = search.judged(row, arm, None if label is None else ways.get(label))
    if label is not None and label not in ways:  # trained with quantized weights: another model than the arm's
        return
    if row["epochs"] > arm.epochs:
        arm.finished.clear()
    arm.finished.update([label] if label else [])
    arm.epochs, arm.epoch_seconds = row["epochs"], row["epoch_seconds"]
    if not arm.drops or arm.drops[-1][0] < arm.epochs:
        arm.drops.append((arm.epochs, found.drop))
        arm.cost = row[search.cost]


def _awaits_training(search: Search, arm: Arm) -> bool:
    """Whether it was measured before its training, loses too much, and then the search was stopped."""
    return bool(search.epochs) and not arm.epochs and arm.drop > search.max_drop


def _trained_on(search: Search, arm: Arm) -> bool:
    """Gives an arm its weights back; False for one whose moves that come last cannot be taken off again."""
    if moves.steps(arm.values, "after"):
        return False
    last = [each.row for each in search.found if each.arm is arm and each.row["epochs"] == arm.epochs]
    path = Path(last[-1].get("arm_path") or last[-1]["keras_path"])
    arm.model = recompiled(load_model(path), search.yardstick.source)
    return True
