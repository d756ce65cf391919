"""StoredOracle: an oracle's state, in memory as KerasTuner keeps it and in a database that is the only truth."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit.errors import ParameterError
from tfkit.goal import Goal, constraints_of
from tfkit_searchers import records
from tfkit_searchers.database import Database
from tfkit_searchers.earlier import Result, as_trial
from tfkit_searchers.objective import directed, told
from tfkit_searchers.restored import Restored, check_same, restore

FILE = "search.db"


class StoredOracle(keras_tuner.Oracle):
    """Opens, takes over and writes the database; `DurableOracle` says what the trials go through."""

    # Whether a searcher knows what to do with bounds.
    takes_constraints = True

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        constraints: Any = None,
    ) -> None:
        super().__init__(
            objective=directed(objective),
            max_trials=max_trials,
            hyperparameters=hyperparameters.copy() if hyperparameters else None,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.seed = seed  # KerasTuner takes 0 for none
        self.goal = Goal.of(self.objective, constraints_of(constraints))
        if self.goal.constraints and not self.takes_constraints:
            raise ParameterError(
                f"{type(self).__name__} takes no constraints: take searcher='genetic' or searcher='bayesian'"
            )
        self._given = self.hyperparameters.get_config()
        self._directions = records.Directions(self.objective)
        self._lock = threading.RLock()
        self._database: Database | None = None
        self._forget()

    def reload(self) -> None:
        """Reads the database; trials that were running are given again. Where there is none, nothing happens."""
        with self._lock:
            if self._path is not None and self._path.exists():
                self._forget()
                self._open()

    def known(self) -> list[Trial]:
        """The trials of an earlier search that this one goes by; they are none of its own."""
        return self._earlier

    def save(self) -> None:
        """Does nothing: everything is on disk already."""

    def close(self) -> None:
        """Closes the database. The trials can be looked at as they were; what goes on with them reads it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None

    def _set_project_dir(self, directory: str, project_name: str) -> None:
        with self._lock:
            self._forget()
            super()._set_project_dir(directory, project_name)

    @property
    def _path(self) -> Path | None:
        directory = getattr(self, "_directory", None)
        return None if directory is None else Path(str(directory), self._project_name, FILE)

    def _open(self) -> Database:
        """The database; at the first call, or where it was closed, the search is begun or taken over from there."""
        if self._database is None:
            database = Database(self._path)
            self._forget()
            facts = database.facts()
            if facts:
                self._adopt(database, facts)
            else:
                self._begin(database)
            self._database = database
        return self._database

    def _begin(self, database: Database) -> None:
        self.seed = secrets.randbelow(2**32) if self.seed is None else self.seed
        with database.transaction():
            for name, value in self._facts().items():
                database.set_fact(name, value)
            self._store_space(database)

    def _adopt(self, database: Database, facts: Mapping[str, Any]) -> None:
        check_same(database, facts, self._facts())
        self.seed = facts["seed"]
        found, self.hyperparameters = self.hyperparameters, keras_tuner.HyperParameters.from_config(facts["space"])
        self._stored_space = len(self.hyperparameters.space)
        self._waiting = facts.get("enqueued", [])
        self.update_space(found)
        self._set_earlier(facts.get("earlier"))
        self._set_state(restore(database, self.hyperparameters.space, self._directions))
        with database.transaction():
            for name in ("objective", "constraints"):
                database.set_fact(name, self._facts()[name])

    def _facts(self) -> dict[str, Any]:
        bounds = [[each.name, ">=" if each.at_least else "<=", each.bound] for each in self.goal.constraints]
        objective = told(self.objective)
        return {"seed": self.seed, "objective": objective, "constraints": bounds, "given": self._given}

    def _forget(self) -> None:
        """Closes the database and knows of no trial any more; subclasses drop what they have derived from trials."""
        if self._database is not None:
            self._database.close()
        self._database = None
        self._stored_space = -1  # how much of the space the database holds
        self._waiting: list[dict[str, Any]] = []  # values that were enqueued, and no trial has yet
        self._set_earlier(None)
        self._set_state(Restored())

    def _set_earlier(self, results: Sequence[Result] | None) -> None:
        self.is_informed = results is not None
        pairs = enumerate(results or ())
        self._earlier = [as_trial(number, each, self.hyperparameters.space, self._directions) for number, each in pairs]

    def _set_state(self, state: Restored) -> None:
        self.trials = state.trials
        self.start_order = list(state.trials)
        self.end_order = state.ended
        self.ongoing_trials = {}
        self._retry_queue = state.again
        self._run_times.clear()
        self._run_times.update(state.runs)

    def _store_new(self, trial: Trial) -> None:
        database = self._open()
        with database.transaction():
            self._store_space(database)
            database.add_trial(int(trial.trial_id), trial.hyperparameters.values)
            if trial.hyperparameters.values in self._waiting:
                self._store_waiting([each for each in self._waiting if each != trial.hyperparameters.values])
        self.trials[trial.trial_id] = trial
        self.start_order.append(trial.trial_id)

    def _store_waiting(self, waiting: list[dict[str, Any]]) -> None:
        self._open().set_fact("enqueued", waiting)
        self._waiting = waiting

    def _store_earlier(self, results: Sequence[Result]) -> None:
        self._open().set_fact("earlier", results)
        self._set_earlier(results)

    def _store_restart(self, trial: Trial) -> None:
        database = self._open()
        with database.transaction():
            database.restart_trial(int(trial.trial_id))
        self._retry_queue.remove(trial.trial_id)
        records.clear(trial)

    def _store_figures(self, trial: Trial, figures: Mapping[str, float], step: float) -> None:
        database = self._open()
        with database.transaction():
            database.add_observations(records.new_rows(trial, figures, step))
        for name, value in figures.items():
            records.add(trial, name, step, value, self._directions)

    def _store_end(self, trial: Trial) -> None:
        database = self._open()
        again = trial.status == TrialStatus.INVALID
        runs = self._run_times[trial.trial_id] + 1
        with database.transaction():
            self._store_space(database)
            database.end_trial(
                int(trial.trial_id),
                trial.hyperparameters.values,
                status=trial.status,
                runs=runs,
                ended=None if again else len(self.end_order),
                score=trial.score,
                best_step=trial.best_step,
                message=trial.message,
            )
        self._run_times[trial.trial_id] = runs
        (self._retry_queue if again else self.end_order).append(trial.trial_id)
        for tuner_id in [each for each, running in self.ongoing_trials.items() if running is trial]:
            del self.ongoing_trials[tuner_id]

    def _store_space(self, database: Database) -> None:
        size = len(self.hyperparameters.space)
        if self._stored_space < size:
            database.set_fact("space", self.hyperparameters.get_config())
            self._stored_space = size
