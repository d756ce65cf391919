"""The files that a search keeps of its trials: the weights of the best, and states that may be gone on from."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from tfkit.goal import Goal

if TYPE_CHECKING:
    import keras_tuner
    from keras_tuner.engine.trial import Trial

_WEIGHTS, _STATE = ".weights.h5", ".state.npz"
_UNFINISHED = ("RUNNING", "INVALID")


def best_trials(oracle: keras_tuner.Oracle, count: int) -> list[Trial]:
    """The completed trials with the best scores, at most so many; KerasTuner's own list goes on with others."""
    return [trial for trial in oracle.get_best_trials(count) if trial.status == "COMPLETED" and trial.score is not None]


def best_trial(oracle: keras_tuner.Oracle) -> Trial | None:
    """The completed trial with the best score; where none keeps to the constraints the one that exceeds them least."""
    return next(iter(best_trials(oracle, 1)), None)


def goal_of(oracle: keras_tuner.Oracle) -> Goal:
    """The objectives and constraints of an oracle, which may be KerasTuner's own."""
    return getattr(oracle, "goal", None) or Goal.of(oracle.objective)


def is_feasible(oracle: keras_tuner.Oracle, trial: Trial) -> bool:
    """Whether a completed trial keeps to the constraints."""
    return not goal_of(oracle).constraints or oracle.violation(trial) == 0


def weights_path(directory: Path, trial_id: str) -> Path:
    """Where the weights of a trial's best epoch are kept."""
    return directory / f"trial-{trial_id}{_WEIGHTS}"


def state_path(directory: Path, trial_id: str) -> Path:
    """Where the state after a trial's last epoch is kept."""
    return directory / f"trial-{trial_id}{_STATE}"


def origin_of(trial: Trial) -> str | None:
    """The trial that this one goes on from, as KerasTuner's Hyperband says it, or None."""
    values = trial.hyperparameters.values
    return values.get("tuner/trial_id") if values.get("tuner/initial_epoch") else None


class Checkpoints:
    """The files of trials in a search's directory.

    Args:
        oracle: Its oracle. Where it has `continues`, states are kept of the trials that `needed()` names.
        directory: The directory.
        keep: Of how many trials the weights are kept; of several objectives those of the Pareto front are too.
    """

    def __init__(self, oracle: keras_tuner.Oracle, directory: Path, keep: int) -> None:
        self.keeps_states = bool(getattr(oracle, "continues", False))
        self._oracle = oracle
        self._directory = directory
        self._keep = keep

    def weights(self, trial_id: str) -> Path:
        """Where a trial's weights go."""
        return weights_path(self._directory, trial_id)

    def state(self, trial_id: str) -> Path | None:
        """Where a trial's state goes; None where none is kept."""
        return state_path(self._directory, trial_id) if self.keeps_states else None

    def to_beat(self) -> float | None:
        """The score that a trial must reach for its weights to be kept; None where any will do.

        With several objectives any may be on the front.
        """
        best = best_trials(self._oracle, self._keep)
        is_full = len(best) == self._keep and is_feasible(self._oracle, best[-1])
        return best[-1].score if is_full and len(goal_of(self._oracle).objectives) == 1 else None

    def tidy(self) -> None:
        """Removes what is not to be kept. Files of trials that are running, or go on from others, stay."""
        running = [trial for trial in self._oracle.trials.values() if trial.status in _UNFINISHED]
        names = {trial.trial_id for trial in running}
        self._remove(_WEIGHTS, names.union(trial.trial_id for trial in self._kept()))
        if self.keeps_states:
            self._remove(_STATE, names.union(self._oracle.needed(), filter(None, map(origin_of, running))))

    def _kept(self) -> list[Trial]:
        several = len(goal_of(self._oracle).objectives) > 1 and hasattr(self._oracle, "pareto_front")
        return best_trials(self._oracle, self._keep) + (self._oracle.pareto_front() if several else [])

    def _remove(self, suffix: str, kept: Collection[str]) -> None:
        names = {f"trial-{each}{suffix}" for each in kept}
        for path in self._directory.glob(f"trial-*{suffix}"):
            if path.name not in names:
                path.unlink()
