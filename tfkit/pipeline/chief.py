"""Chief: gives the trials of an oracle to a runner, and tells the oracle what becomes of them."""

from __future__ import annotations

import copy
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfkit.pipeline.checkpoints import Checkpoints, best_trial, is_feasible, origin_of, state_path
from tfkit.pipeline.cross_validated import first_folds
from tfkit.pipeline.runners.protocol import COMPLETED, FAILED, STOPPED, Histories, Outcome, Runner, TrialRequest
from tfkit.pipeline.search_result import trial_result
from tfkit.progress import Advance, say

if TYPE_CHECKING:
    import keras_tuner
    from keras_tuner.engine.trial import Trial

Event = dict[str, Any]

# A model that ends its process does so each time.
_DEATHS = 3


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When a search ends.

    Attributes:
        trials: Trials in all, or None.
        epochs: Epochs of a trial, where the searcher does not say.
        ends: `time.monotonic()` after which no trial begins, and none goes on once one was completed.
        target: Score at which the search ends, or None.
        trial_timeout: Seconds that a trial may take, or None.
    """

    trials: int | None
    epochs: int
    ends: float = float("inf")
    target: float | None = None
    trial_timeout: float | None = None


class Chief:
    """Runs a search. What a trial reports goes to the oracle when it ends, so that one that is lost leaves no trace.

    Args:
        oracle: A KerasTuner oracle whose directory is set; only this process writes it.
        runner: Where the trials run.
        checkpoints: The files that are kept.
        budget: When the search ends.
        report: Is called with what happens, as a dict.
        advance: Is called for each trial that has ended.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        runner: Runner,
        checkpoints: Checkpoints,
        budget: Budget,
        report: Callable[[Event], None],
        advance: Advance,
    ) -> None:
        self._oracle = oracle
        self._runner = runner
        self._checkpoints = checkpoints
        self._budget = budget
        self._report = report
        self._advance = advance
        # By tuner id, as the oracle knows them; the ids that are free are given again.
        self._trials: dict[str, Trial] = {}
        self._again: deque[str] = deque()
        self._attempts: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._ended = 0
        self._is_dry = False
        self._histories = _histories(oracle)

    @property
    def running(self) -> list[str]:
        """The ids of the trials that have begun and not ended."""
        return sorted(trial.trial_id for trial in self._trials.values())

    def run(self) -> str:
        """Runs trials until there are enough; returns why it stopped."""
        self._checkpoints.tidy()
        while (reason := self._reached() or self._spent()) is None:
            self._start()
            if not self._trials:
                return _exhausted(self._oracle, self._budget.trials)
            self._runner.wait(self)
        return _said(reason)

    def epoch(self, request: TrialRequest, epoch: int, figures: dict[str, float]) -> None:
        """Is told by the runner of an epoch that has ended."""
        history = self._histories.setdefault(request.trial, {})
        for name, value in figures.items():
            history.setdefault(name, []).append(value)
        told = {"trial": request.trial, "epoch": epoch, "epochs": request.epochs, "logs": figures}
        self._report({"event": "epoch", **told})

    def histories(self) -> Histories:
        """The figures so far of all trials that have completed or are running."""
        found = self._histories.items()
        return {trial: {name: list(values) for name, values in figures.items()} for trial, figures in found}

    def ended(self, request: TrialRequest, outcome: Outcome) -> None:
        """Is told by the runner that a run has ended, and tells the oracle."""
        if outcome.status == STOPPED:  # the oracle holds it as running, and gives it first in the next call
            return
        trial = self._dropped(request.trial)
        values = dict(trial.hyperparameters.values)
        self._tell(trial, request, outcome)
        self._checkpoints.tidy()
        self._ended += 1
        self._is_dry = False
        best = best_trial(self._oracle)
        score = None if best is None else best.score
        known = self._oracle.trials[trial.trial_id]
        if known.status != COMPLETED:
            self._histories.pop(trial.trial_id, None)
        about = {"trial": trial.trial_id, "values": values, "status": known.status, "score": known.score}
        memory = {} if outcome.memory is None else {"memory": outcome.memory}
        self._report({"event": "end", **about, "best_score": score, **memory})
        if known.status != "INVALID":  # that one runs again
            self._advance("" if score is None else f"best {self._oracle.objective.name} {score:.4g}")

    def lost(self, request: TrialRequest, reason: str, log: str) -> None:
        """Is told by the runner that a run has no outcome: it begins again, unless it ends its worker each time."""
        self._histories.pop(request.trial, None)
        self._deaths[request.trial] += 1
        deaths = self._deaths[request.trial]
        if deaths == _DEATHS:
            text = f"{log}\nthe worker {reason} {deaths} times".strip()
            self.ended(request, Outcome(FAILED, request.hyperparameters, message=text))
            return
        self._again.append(request.trial)
        self._report({"event": "lost", "trial": request.trial, "reason": reason})
        say(f"search: the worker of trial {request.trial} {reason}: the trial runs again")

    def postponed(self, request: TrialRequest) -> None:
        """Is told by the runner that a run never began: it is started again."""
        self._again.append(request.trial)

    def _reached(self) -> str | None:
        best, target = best_trial(self._oracle), self._budget.target
        if target is None or best is None or self._oracle.objective.better_than(target, best.score):
            return None
        if not is_feasible(self._oracle, best):
            return None
        return f"trial {best.trial_id} has reached the target: {self._oracle.objective.name} {best.score:.4g}"

    def _spent(self) -> str | None:
        if time.monotonic() < self._budget.ends or not self._may_stop():
            return None
        return f"the time budget is spent after {len(self._oracle.end_order)} trials"

    def _may_stop(self) -> bool:
        """Whether there is something to show; where the trials have failed, none begins any more."""
        return best_trial(self._oracle) is not None or (self._ended > 0 and not self._trials)

    def _start(self) -> None:
        """Starts trials while there is room."""
        while self._runner.free():
            if self._again:
                again = self._again.popleft()
                self._begin(next(trial for trial in self._trials.values() if trial.trial_id == again))
                continue
            if self._is_dry or (time.monotonic() >= self._budget.ends and (self._trials or self._ended)):
                return
            tuner = next(name for number in range(10**6) if (name := f"tfkit-{number}") not in self._trials)
            trial = self._oracle.create_trial(tuner)
            if trial.status == "RUNNING":
                self._trials[tuner] = trial
                self._begin(trial)
            else:
                self._is_dry = True

    def _begin(self, trial: Trial) -> None:
        request = self._request(trial)
        self._attempts[trial.trial_id] += 1
        self._histories.pop(trial.trial_id, None)
        self._report({"event": "begin", "trial": trial.trial_id, "values": dict(trial.hyperparameters.values)})
        self._runner.start(request)

    def _request(self, trial: Trial) -> TrialRequest:
        values: Mapping[str, Any] = trial.hyperparameters.values
        origin = origin_of(trial)
        weights = self._checkpoints.weights(trial.trial_id)
        return TrialRequest(
            trial=trial.trial_id,
            attempt=self._attempts[trial.trial_id],
            hyperparameters=trial.hyperparameters.get_config(),
            seed=seed_of(self._oracle, trial),
            epochs=int(values.get("tuner/epochs", self._budget.epochs)),
            initial_epoch=int(values.get("tuner/initial_epoch", 0)),
            weights=weights,
            to_beat=self._checkpoints.to_beat(),
            resume=None if origin is None else state_path(weights.parent, origin),
            last=self._checkpoints.state(trial.trial_id),
            ends=float("inf") if best_trial(self._oracle) is None else self._budget.ends,
            timeout=self._budget.trial_timeout,
        )

    def _dropped(self, trial_id: str) -> Trial:
        tuner = next(tuner for tuner, trial in self._trials.items() if trial.trial_id == trial_id)
        return self._trials.pop(tuner)

    def _tell(self, trial: Trial, request: TrialRequest, outcome: Outcome) -> None:
        """Tells the oracle of a run's end."""
        import keras_tuner

        if outcome.hyperparameters != request.hyperparameters:
            # A copy, since KerasTuner changes the conditions in what it reads.
            config = copy.deepcopy(outcome.hyperparameters)
            trial.hyperparameters = keras_tuner.HyperParameters.from_config(config)
        for epoch, figures in enumerate(outcome.history, request.initial_epoch):
            self._oracle.update_trial(trial.trial_id, figures, step=epoch)
        trial.status, trial.message = outcome.status, outcome.message
        self._oracle.end_trial(trial)
        self._oracle.save()  # KerasTuner's own do not know before that the trial has ended


def seed_of(oracle: keras_tuner.Oracle, trial: Trial) -> int:
    """A seed for each run of each trial: a retry begins otherwise, a trial that was interrupted begins alike.

    A trial that goes on from another has that one's, so that it ends as if it were trained in one go.
    """
    import numpy as np

    run, first = oracle._run_times[trial.trial_id], trial
    while (origin := origin_of(first)) is not None:
        first = oracle.trials[origin]
    sequence = np.random.SeedSequence([oracle.seed, zlib.crc32(first.trial_id.encode()), run])
    return int(sequence.generate_state(1)[0])


def _histories(oracle: keras_tuner.Oracle) -> Histories:
    """What the trials of earlier calls have reported."""
    completed = (trial for trial in oracle.trials.values() if trial.status == COMPLETED and trial.score is not None)
    return {trial.trial_id: first_folds(trial_result(trial).history) for trial in completed}


def _exhausted(oracle: keras_tuner.Oracle, trials: int | None) -> str:
    done = len(oracle.trials)
    if trials is not None and done >= trials:
        return f"all {done} trials have run"
    if not oracle.get_space().space:
        return _said(f"build(hp) asks for no hyperparameters: one trial is all there is; trials={trials}")
    if getattr(oracle, "continues", False):
        return _said(f"the searcher has come to its end after {done} trials; trials={trials}")
    return _said(f"every distinct set of values was tried, in {done} trials; trials={trials}")


def _said(reason: str) -> str:
    say(f"search: {reason}")
    return reason
