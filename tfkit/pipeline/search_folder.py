"""A search's folder, read and never written: a finished one, or one in which a search is at work now."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfkit.errors import RunError, SearchError
from tfkit.goal import Constraint, Goal
from tfkit.pipeline.checkpoints import weights_path
from tfkit.pipeline.folder import write_json
from tfkit.pipeline.search_axes import Axis, axes_of
from tfkit.pipeline.search_result import TrialResult, best_first, front_of, plain, unmet, why_none
from tfkit.pipeline.search_result import last_line as last_line
from tfkit.recipe import Step, step_name

# Those of tfkit_searchers, whose database this reads.
FILE, FORMAT = "search.db", 1
_FACTS = "search.json"


@dataclass(frozen=True)
class SearchFolder:
    """What the folder of a search holds.

    Attributes:
        path: The folder.
        objectives: What is optimized, each a name and "min" or "max".
        axes: The hyperparameters, in the order in which they were found.
        trials: All trials in the order of creation, those that are running or wait to be run again too.
        seed: Seed of the search.
        about: What `write_search_facts` stored; empty where it was not called.
        constraints: Bounds on what trials report.
    """

    path: Path
    objectives: tuple[tuple[str, str], ...]
    axes: tuple[Axis, ...]
    trials: tuple[TrialResult, ...]
    seed: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()

    @property
    def goal(self) -> Goal:
        """The objectives and constraints."""
        return Goal(self.objectives, self.constraints)

    @property
    def objective(self) -> str:
        """Name of what the score is: of several objectives the first that Keras logs."""
        return self.goal.leading[0]

    @property
    def minimize(self) -> bool:
        """Whether less of the score is better."""
        return self.goal.leading[1] == "min"

    @property
    def counts(self) -> dict[str, int]:
        """How many trials there are of each status, in lower case."""
        return dict(Counter(trial.status.lower() for trial in self.trials))

    @property
    def completed(self) -> tuple[TrialResult, ...]:
        """The trials that have a score, the best first, of equals the first; those beyond a constraint come last."""
        return tuple(best_first(self.trials, self.goal))

    @property
    def front(self) -> tuple[TrialResult, ...]:
        """The trials within the constraints that no other one beats, as `SearchResult.front`."""
        return tuple(front_of(self.trials, self.goal))

    @property
    def states(self) -> dict[str, str]:
        """By id, what became of each trial: its status in lower case, or "infeasible", or "front"."""
        front = {trial.id for trial in self.front} if len(self.objectives) > 1 else set()
        beyond = {trial.id for trial in self.trials if trial.violation}
        plain = {trial.id: trial.status.lower() for trial in self.trials}
        return {**plain, **dict.fromkeys(sorted(front), "front"), **dict.fromkeys(sorted(beyond), "infeasible")}

    @property
    def unmet(self) -> str:
        """That no trial keeps to the constraints, in words; empty where one does, or there are none."""
        told = unmet(self.trials, self.goal)
        nearest = f": trial {self.completed[0].id} is the nearest" if self.completed else ""
        return f"no trial keeps to {told}{nearest}" if told else ""

    @property
    def ranked(self) -> tuple[TrialResult, ...]:
        """All trials: those that were completed, the best first, then the others."""
        return (*self.completed, *(trial for trial in self.trials if trial.score is None))

    @property
    def best(self) -> TrialResult:
        """The best trial; where none keeps to the constraints the one that exceeds them the least.

        Raises:
            SearchError: None was completed; the text says what made the last one fail.
        """
        if self.completed:
            return self.completed[0]
        why = why_none(self.trials, self.goal) or "none has ended"
        raise SearchError(f"none of the {len(self.trials)} trials in {self.path} was completed: {why}")

    @property
    def best_values(self) -> dict[str, Any]:
        """The hyperparameters of the best trial, as `SearchResult.best_values`; raises as `best` does."""
        return plain(self.best.values)

    def weights(self, trial: TrialResult) -> Path | None:
        """The file that holds a trial's weights, or None where they were not kept."""
        path = weights_path(self.path, trial.id)
        return path if path.exists() else None


def open_search(directory: str | Path) -> SearchFolder:
    """Reads the folder of a search, or of a run with its search; the search may go on meanwhile.

    Args:
        directory: What `tfkit.search` was given, or a run's folder.

    Raises:
        RunError: There is no search.
        SearchError: The file is no search's database, is damaged, or is from a newer version.

    Example:
        >>> open_search("nowhere")
        Traceback (most recent call last):
        tfkit.errors.RunError: there is no folder nowhere
    """
    path = _found(Path(directory))
    with _reading(path / FILE) as connection:
        _check_format(connection, path / FILE)
        facts = {name: json.loads(value) for name, value in connection.execute("SELECT name, value FROM facts")}
        rows = tuple(_trials(connection))
    if not facts:
        raise RunError(f"the search in {path} has not begun: look again in a moment")
    constraints = tuple(Constraint(name, bound, sign == ">=") for name, sign, bound in facts.get("constraints", ()))
    goal = Goal((), constraints)
    trials = tuple(replace(trial, violation=goal.violation(trial.metrics)) for trial in rows)
    return SearchFolder(
        path=path,
        objectives=tuple((name, direction) for direction, _, name in _objectives(facts)),
        axes=axes_of(facts["space"], [trial.values for trial in trials]),
        trials=trials,
        seed=facts.get("seed"),
        about=read_search_facts(path),
        constraints=constraints,
    )


def write_search_facts(
    directory: Path, *, searcher: Step, trials: int | None, epochs: int | None = None, **more: Any
) -> None:
    """Stores, beside the database, what a search was called with.

    Args:
        directory: The folder of the search.
        searcher: Its searcher.
        trials: Trials in all.
        epochs: Epochs of a trial.
        **more: Anything else; what JSON cannot hold is stored as text.
    """
    name, parameters = step_name(searcher)
    facts = {"searcher": name, "parameters": parameters, "trials": trials, "epochs": epochs, **more}
    write_json(directory / _FACTS, facts)


def read_search_facts(directory: Path) -> dict[str, Any]:
    """What `write_search_facts` stored; empty where there is nothing that can be read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((directory / _FACTS).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _found(directory: Path) -> Path:
    if not directory.is_dir():
        raise RunError(f"there is no folder {directory}")
    for path in (directory, directory / "search"):
        if (path / FILE).is_file():
            return path
    hint = "; KerasTuner's own searchers keep another format" if (directory / "oracle.json").exists() else ""
    raise RunError(f"there is no search in {directory}: it holds no {FILE}{hint}")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads one moment of the database and writes nothing.

    Where there is a log of what is not in the file yet, its reader takes part in SQLite's protocol; else
    the file is read as it lies there, also in a folder that nobody may write.
    """
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=30)
        with contextlib.closing(connection):
            connection.execute("BEGIN")
            yield connection
    except (sqlite3.Error, json.JSONDecodeError) as error:
        raise SearchError(f"{path} cannot be read as a search's database: {error}") from error


def _check_format(connection: sqlite3.Connection, file: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise SearchError(
            f"{file} was written by a newer tfkit (its format is {version}, this one reads {FORMAT}): "
            "upgrade tfkit-keras"
        )
    if version < 1:
        raise SearchError(f"{file} is another program's database, or that of a search that has not begun")


def _objectives(facts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    # A name may hold a comma.
    return [each.partition(" ") for each in re.split(", (?=min |max )", facts["objective"])]


def _trials(connection: sqlite3.Connection) -> Iterator[TrialResult]:
    history = _histories(connection)
    query = "SELECT number, status, hyperparameters, score, best_step, message FROM trials ORDER BY number"
    for number, status, values, score, best_step, message in connection.execute(query):
        steps = history[number]
        yield TrialResult(
            id=f"{number:04d}",
            values=json.loads(values),
            score=score,
            status=status,
            metrics={name: found[best_step] for name, found in steps.items() if best_step in found},
            history={name: list(found.values()) for name, found in steps.items()},
            error=message,
        )


def _histories(connection: sqlite3.Connection) -> Mapping[int, dict[str, dict[Any, float]]]:
    """By trial and metric, the mean over the executions of each step."""
    reported: dict[tuple[int, str, Any], list[float]] = defaultdict(list)
    query = "SELECT trial, metric, step, value FROM observations ORDER BY trial, metric, step, execution"
    for trial, metric, step, value in connection.execute(query):
        reported[trial, metric, step].append(math.nan if value is None else value)
    found: dict[int, dict[str, dict[Any, float]]] = defaultdict(lambda: defaultdict(dict))
    for (trial, metric, step), values in reported.items():
        found[trial][metric][step] = _mean(values)
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
