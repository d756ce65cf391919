"""The run folder: `<directory>/<recipe>/<id>/` with run.json, which is valid at every moment."""

from __future__ import annotations

import datetime
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.errors import RunError

_STATE = "run.json"


@dataclass(frozen=True)
class RunFolder:
    """One run on disk.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def state(self) -> dict[str, Any]:
        """What run.json says: recipe, fingerprint, status, stages.

        Raises:
            RunError: If there is none, or it is not a run's.
        """
        try:
            state = json.loads((self.path / _STATE).read_text())
        except FileNotFoundError:
            raise RunError(f"{self.path} is no run: it holds no {_STATE}") from None
        except (OSError, ValueError) as error:
            raise RunError(
                f"{self.path / _STATE} cannot be read ({error}): remove the folder, or run with --fresh"
            ) from None
        if not isinstance(state, dict) or not {"status", "stages"} <= state.keys():
            raise RunError(f"{self.path / _STATE} is not a run's state: remove the folder, or run with --fresh")
        return state

    def finished(self, stage: str) -> dict[str, Any] | None:
        """The record of a stage that is finished, else None."""
        return next((each for each in self.state["stages"] if each["name"] == stage), None)

    def finish(self, stage: str, started: str, metrics: dict[str, Any]) -> None:
        """Records that a stage is finished, after everything it wrote is on disk."""
        state = self.state
        record = {"name": stage, "status": "finished", "started": started, "finished": now(), "metrics": metrics}
        self.write({**state, "stages": [*state["stages"], record]})

    def set_status(self, status: str) -> None:
        """Records the run's status: running, interrupted, failed or finished."""
        self.write({**self.state, "status": status})

    def write(self, state: dict[str, Any]) -> None:
        """Replaces run.json in one step."""
        write_json(self.path / _STATE, state)


def open_run(directory: Path, recipe: str, fingerprint: str, *, resume: bool = True) -> tuple[RunFolder, bool]:
    """The latest run of this recipe if it may go on, else a new one.

    Args:
        directory: Where runs are kept.
        recipe: The recipe's name.
        fingerprint: What the recipe is made of; a run of another fingerprint is not continued.
        resume: False for a new run.

    Returns:
        The folder, and whether it is an earlier run that goes on.

    Raises:
        RunError: The directory cannot be written, or is a file.
    """
    parent = directory / recipe
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"the directory {parent} cannot be made ({error.strerror}): choose another with --directory"
        ) from None
    if not os.access(parent, os.W_OK | os.X_OK):
        raise RunError(f"the directory {parent} is not writable: choose another with --directory")
    for earlier in sorted(runs(parent), key=lambda run: run.path.name, reverse=True) if resume else ():
        if earlier.state.get("fingerprint") == fingerprint:
            return earlier, True
        break
    return _new_run(parent, recipe, fingerprint), False


def runs(parent: Path) -> list[RunFolder]:
    """The runs below a folder; folders without a run.json are not runs."""
    return [RunFolder(each.parent) for each in parent.glob(f"*/{_STATE}")]


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file in one step: it is the old one or the new one, whatever happens.

    NaN and infinities become null, since JSON has neither.
    """
    aside = path.with_name(f".{path.name}.new")
    with aside.open("w") as file:
        json.dump(plain_json(content), file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def now() -> str:
    """The time in ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _new_run(parent: Path, recipe: str, fingerprint: str) -> RunFolder:
    folder = RunFolder(parent / datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S-%f"))
    folder.path.mkdir()
    folder.write({"recipe": recipe, "fingerprint": fingerprint, "status": "running", "created": now(), "stages": []})
    return folder


def plain_json(value: Any) -> Any:
    """A value as JSON can hold it: numpy's numbers and arrays as Python's, NaN and infinities as null, else text."""
    if isinstance(value, dict):
        return {str(key): plain_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain_json(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return plain_json(value.tolist()) if hasattr(value, "tolist") else str(value)
