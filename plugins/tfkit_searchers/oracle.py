"""DurableOracle, the base of every searcher here: KerasTuner's Oracle on a database."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit.errors import SearchError
from tfkit_searchers import records, space
from tfkit_searchers.objective import told
from tfkit_searchers.restored import id_of
from tfkit_searchers.tried import TriedOracle

_ENDINGS = (TrialStatus.COMPLETED, TrialStatus.INVALID, TrialStatus.FAILED)


class DurableOracle(TriedOracle):
    """An oracle that goes on from whatever a kill has left.

    It runs in any `keras_tuner.Tuner` and can be driven by hand; without `_set_project_dir` the search is
    kept in memory. A search that was interrupted at any moment and goes on has the trials, ids and
    values of one that was not. A trial that was running is given again first; what it had reported is
    forgotten. A score that is no finite number does not count: the trial is run again or has failed.

    Subclasses implement `propose`, which may depend on nothing but the seed, the number of the trial, the
    space and the trials so far: then a search that goes on proposes what it would have proposed.

    Args:
        objective: A name such as "val_loss", a `keras_tuner.Objective`, a list of these (the score is the first
            one that Keras logs), or None where a trial returns one float, to be minimized.
        max_trials: Trials in all; None goes on until every distinct set of active values was tried.
        hyperparameters: `keras_tuner.HyperParameters` to begin with; a copy is kept.
        allow_new_entries: Whether `build` may ask for hyperparameters that these lack.
        tune_new_entries: Whether those are searched; else they keep their defaults.
        seed: Seed of the search, >= 0. None draws one and stores it.
        max_retries_per_trial: How often a trial that is INVALID is run again before it is FAILED.
        max_consecutive_failed_trials: Failed trials in a row that end the search.
        constraints: Bounds on what trials report, as `tfkit.goal.constraints_of` takes them. A trial that exceeds one
            is COMPLETED, and comes behind all that do not. One that reports nothing but a figure that exceeds a bound,
            since it was not worth training, is COMPLETED without a score.

    Attributes:
        goal: The objectives and constraints.
        is_informed: Whether it was told of an earlier search.

    Raises:
        ParameterError: The direction of the objective is not known, a bound is of another form, or the searcher
            takes no constraints.
        SearchError: From any method: the database cannot be used, or is of another search.
    """

    def propose(self, number: int) -> space.Values | None:
        """Chooses the values of a trial.

        Args:
            number: The trial's, counted from 0.

        Returns:
            A value for each active hyperparameter; None where every distinct set was tried.
        """
        raise NotImplementedError

    def generator(self, number: int) -> np.random.Generator:
        """The random stream of a trial; those of different seeds or trials have nothing in common."""
        return np.random.default_rng([self.seed, number])

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """KerasTuner's form of `propose`: status and values."""
        values = self.propose(int(trial_id))
        if values is not None:
            return {"status": TrialStatus.RUNNING, "values": values}
        # A trial that is still running may bring new hyperparameters to light.
        return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}

    def create_trial(self, tuner_id: str) -> Trial:
        """Gives a tuner its next trial: first those that were interrupted, then retries, then new ones.

        Args:
            tuner_id: Who asks; who has a trial already gets the same one.

        Returns:
            A trial whose status is RUNNING, STOPPED (there is no more to try) or IDLE (ask again later).
        """
        with self._lock:
            self._open()
            if tuner_id in self.ongoing_trials:
                return self.ongoing_trials[tuner_id]
            self.tuner_ids.add(tuner_id)
            trial = self._next()
            if trial.status == TrialStatus.STOPPED:
                self.tuner_ids.remove(tuner_id)
            if trial.status == TrialStatus.RUNNING:
                self.ongoing_trials[tuner_id] = trial
                self._display.on_trial_begin(trial)
            return trial

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: float = 0) -> Trial:
        """Reports what a trial has reached.

        Args:
            trial_id: The trial, which must be running.
            metrics: Values by name, those of the objectives and constraints among them.
            step: The epoch. Several reports of one step, of several executions, are averaged.

        Raises:
            SearchError: The trial is not running.
            ValueError: An objective or a constraint is missing.
        """
        with self._lock:
            self._open()
            trial = self._running(trial_id)
            figures = {name: float(value) for name, value in metrics.items()}
            self._check_reported(figures)
            self._store_figures(trial, figures, getattr(step, "item", lambda: step)())
            return trial

    def end_trial(self, trial: Trial) -> None:
        """Ends a run of a trial.

        Args:
            trial: Its status is COMPLETED, INVALID (to be run again while retries are left) or FAILED; its
                message says why.

        Raises:
            SearchError: It is not running, or has another status; or too many trials in a row have failed.
        """
        with self._lock:
            self._open()
            known = self._running(trial.trial_id)
            if trial.status not in _ENDINGS:
                raise SearchError(
                    f"trial {trial.trial_id} cannot end as {trial.status}: set its status to {' or '.join(_ENDINGS)}"
                )
            self.update_space(trial.hyperparameters)
            # It may have found new hyperparameters. The values it was given stay: over gRPC they come back as float32.
            trial.hyperparameters.values.update(known.hyperparameters.values)
            known.hyperparameters, known.message, known.status = trial.hyperparameters, trial.message, trial.status
            self._settle(known)
            self._store_end(known)
            self._display.on_trial_end(known)
            if known.status == TrialStatus.FAILED:
                self._check_consecutive_failures()

    def _next(self) -> Trial:
        if not self._retry_queue:
            return self._new()
        trial = self.trials[self._retry_queue[0]]
        self._store_restart(trial)
        return trial

    def _new(self) -> Trial:
        number = len(self.trials)
        answer: Mapping[str, Any] = {"status": TrialStatus.STOPPED}
        if self.max_trials is None or number < self.max_trials:
            waiting = next((each for each in self._waiting if not self.is_tried(each)), None)
            answer = (
                {"status": TrialStatus.RUNNING, "values": waiting} if waiting else self.populate_space(id_of(number))
            )
        values = answer.get("values") or {}
        trial = Trial(space.hyperparameters(self.hyperparameters.space, values), id_of(number), answer["status"])
        if trial.status == TrialStatus.RUNNING:
            self._store_new(trial)
            self._tried().add(self._key(values))
        return trial

    def _settle(self, trial: Trial) -> None:
        """Decides what becomes of a trial whose run has ended."""
        if trial.status == TrialStatus.COMPLETED:
            excluded = records.excluded(trial, self.goal)
            if excluded is not None:
                trial.score, trial.best_step = None, excluded
                return
            self.score_trial(trial)
            if trial.score is None or not math.isfinite(trial.score):
                trial.status = TrialStatus.INVALID
                trial.message = f"{told(self.objective)}: no step has a finite value"
        if trial.status != TrialStatus.COMPLETED:
            trial.score, trial.best_step = None, None
        if trial.status == TrialStatus.INVALID and self._run_times[trial.trial_id] >= self.max_retries_per_trial:
            trial.status = TrialStatus.FAILED

    def _check_reported(self, figures: Mapping[str, float]) -> None:
        if records.is_excluded(figures, self.goal):
            return
        missing = [name for name in self.goal.names if name not in figures]
        if missing:
            raise ValueError(
                f"Objective value missing in metrics reported to the Oracle: {', '.join(missing)}; "
                f"there are: {', '.join(figures)}"
            )

    def _check_consecutive_failures(self) -> None:
        limit = self.max_consecutive_failed_trials
        latest = [self.trials[each] for each in self.end_order[-limit:]]
        if len(latest) == limit and all(each.status == TrialStatus.FAILED for each in latest):
            reason = (latest[-1].message or "it left no message").strip().splitlines()[-1]
            raise SearchError(
                f"the last {limit} trials have failed (max_consecutive_failed_trials={limit}); "
                f"trial {latest[-1].trial_id}: {reason}"
            )

    def _running(self, trial_id: str) -> Trial:
        for trial in self.ongoing_trials.values():
            if trial.trial_id == trial_id:
                return trial
        state = self.trials[trial_id].status if trial_id in self.trials else "unknown"
        raise SearchError(f"trial {trial_id!r} is not running, it is {state}: create_trial gives trials to run")
