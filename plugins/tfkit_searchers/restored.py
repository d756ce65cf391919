"""What a database tells of a search that was interrupted: whose it is, and the state to go on from."""

from __future__ import annotations

import contextlib
import copy
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit.errors import SearchError
from tfkit_searchers import records, space
from tfkit_searchers.database import Database


@dataclass
class Restored:
    """The state of a search.

    Attributes:
        trials: By id, in the order of creation.
        runs: By id, how many runs have ended.
        ended: Ids of the trials that need no run any more, in the order of their ends.
        again: Ids of the trials to be run again: those that were interrupted, then those that were invalid.
    """

    trials: dict[str, Trial] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)


def id_of(number: int) -> str:
    """The id of a trial, counted from 0."""
    return f"{number:04d}"


def restore(database: Database, parameters: space.Space, directions: Mapping[str, str]) -> Restored:
    """Reads every trial.

    Args:
        database: The search's.
        parameters: The space of the search.
        directions: The direction of each metric.
    """
    with _uncollected():
        rows = {id_of(row["number"]): row for row in database.trials()}
        trials = {each: _trial(each, row, parameters) for each, row in rows.items()}
        for number, metric, step, value in database.observations():
            records.add(trials[id_of(number)], metric, step, value, directions)
    ended = sorted((row["ended"], each) for each, row in rows.items() if row["ended"] is not None)
    unfinished = [each for each, row in rows.items() if row["ended"] is None]
    again = sorted(unfinished, key=lambda each: rows[each]["status"] != TrialStatus.RUNNING)
    return Restored(trials, {each: row["runs"] for each, row in rows.items()}, [each for _, each in ended], again)


def check_same(database: Database, facts: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Checks that the database is of the search that is to go on.

    The objective and the constraints may change as long as no trial was completed.

    Args:
        database: The search's.
        facts: What it holds: seed, objective, constraints, given (the hyperparameters that it was begun with).
        expected: The same of the search that is to go on; a seed of None and no hyperparameters fit any.

    Raises:
        SearchError: It is of another search; the text says what differs.
    """
    way_out = "go on as it was begun, or search in another directory"
    if expected["seed"] not in (None, facts["seed"]):
        raise SearchError(
            f"{database.name} was begun with seed={facts['seed']}; got seed={expected['seed']}: {way_out}"
        )
    if expected["objective"] != facts["objective"] and database.has_completed():
        raise SearchError(
            f"{database.name} has the objective {facts['objective']!r}; got {expected['objective']!r}: {way_out}"
        )
    bounds, wanted = facts.get("constraints", []), expected["constraints"]
    if sorted(bounds) != sorted(wanted) and database.has_completed():
        raise SearchError(f"{database.name} has the constraints {bounds}; got {wanted}: {way_out}")
    before, now = (_parameters(each["given"]) for each in (facts, expected))
    changed = space.differences(before, now) if before and now else []
    if changed:
        raise SearchError(f"{database.name} searches another space: {'; '.join(changed)}; {way_out}")


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Many objects are made that all stay: to look for garbage among them, and all of TensorFlow, takes .2 seconds."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _parameters(config: Mapping[str, Any]) -> Sequence[Any]:
    # A copy: from_config replaces the conditions in what it is given.
    return keras_tuner.HyperParameters.from_config(copy.deepcopy(config)).space


def _trial(each: str, row: Mapping[str, Any], parameters: space.Space) -> Trial:
    trial = Trial(space.hyperparameters(parameters, row["hyperparameters"]), each, row["status"], row["message"])
    trial.score, trial.best_step = row["score"], row["best_step"]
    return trial
