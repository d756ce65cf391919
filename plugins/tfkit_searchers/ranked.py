"""RankedOracle: which of the trials that were completed is the better one, by objectives and bounds."""

from __future__ import annotations

from collections.abc import Mapping

from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit_searchers import records
from tfkit_searchers.stored import StoredOracle


class RankedOracle(StoredOracle):
    """A stored oracle that scores trials and sorts them: those that keep to every bound come first."""

    def score_trial(self, trial: Trial) -> None:
        """Sets the score and the best step of a trial: those of its best finite step, else None.

        The best step exceeds the bounds the least; of equals it has the best score.
        """
        trial.score, trial.best_step = records.best(trial, self.goal)

    def violation(self, trial: Trial) -> float:
        """How far a completed trial exceeds the bounds, as shares of them, in sum; 0 where it keeps to them."""
        if not self.goal.constraints:
            return 0.0
        if trial.trial_id in self._violations:
            return self._violations[trial.trial_id]
        found = self.goal.violation(records.figures(trial))
        if trial.status == TrialStatus.COMPLETED:  # until then there may be more to come
            self._violations[trial.trial_id] = found
        return found

    def losses(self, trial: Trial, reported: Mapping[str, float]) -> tuple[float, ...]:
        """A completed trial's value for each objective, low where it is good.

        Of one objective without bounds it is the score, which a `score_trial` of one's own may have set.

        Args:
            trial: The trial.
            reported: What it has reported at its best step.
        """
        if self.is_scored_alone and trial.score is not None:
            return (-trial.score if self.objective.direction == "max" else trial.score,)
        return self.goal.losses(reported)

    @property
    def is_scored_alone(self) -> bool:
        """Whether the score says all that there is to say of a trial: there is one objective, and no bound."""
        return len(self.goal.objectives) == 1 and not self.goal.constraints

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Completed trials, the best first: those that keep to the bounds, then those that exceed them the least.

        Args:
            num_trials: How many; where fewer have a score, others follow, as in KerasTuner.
        """
        sign = -1.0 if self.objective.direction == "max" else 1.0
        scored = [trial for trial in self.trials.values() if trial.score is not None]
        scored.sort(key=lambda trial: (self.violation(trial), sign * trial.score))
        rest = [] if len(scored) >= num_trials else [trial for trial in self.trials.values() if trial.score is None]
        return [*scored, *rest][:num_trials]

    def pareto_front(self) -> list[Trial]:
        """The completed trials within the bounds that no other one beats: better in one objective, worse in none."""
        with self._lock:
            self._open()
            done = [trial for trial in self.trials.values() if trial.score is not None]
            return [done[number] for number in self.goal.front([records.figures(trial) for trial in done])]

    def _forget(self) -> None:
        super()._forget()
        self._violations: dict[str, float] = {}  # by the id of the trial
