"""SearchResult: the trials of a search, and its best values and model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.errors import ModelError, SearchError
from tfkit.goal import Goal
from tfkit.pipeline.checkpoints import weights_path
from tfkit.pipeline.space import built
from tfkit.pipeline.trials import Job, copied_callbacks, with_weights

if TYPE_CHECKING:
    import keras
    from keras_tuner.engine.trial import Trial


# Of a trial that needs no run any more.
ENDED = ("COMPLETED", "FAILED")


@dataclass(frozen=True)
class TrialResult:
    """A trial that has ended.

    Attributes:
        id: Its id, in the order of creation.
        values: The values of its active hyperparameters.
        score: The leading objective's value in its best epoch; None where it failed, or was not worth training.
        status: "COMPLETED" or "FAILED".
        metrics: What Keras logged in its best epoch, and what was measured of its model.
        history: What Keras logged in each epoch, by name.
        error: The traceback of what made it fail, or None.
        violation: How far it exceeds the constraints, as shares of their bounds, in sum; 0 where it keeps to them.
    """

    id: str
    values: dict[str, Any]
    score: float | None
    status: str
    metrics: dict[str, float]
    history: dict[str, list[float]]
    error: str | None
    violation: float = 0.0

    @property
    def feasible(self) -> bool:
        """Whether it was completed and keeps to the constraints."""
        return self.status == "COMPLETED" and self.violation == 0


@dataclass(frozen=True)
class SearchResult:
    """What `tfkit.search` found.

    Attributes:
        trials: The trials that have ended, in the order of creation; those of earlier calls too.
        goal: The objectives and constraints.
        directory: Where the search is kept.
        stopped: Why no further trial was run, in a few words.
    """

    trials: tuple[TrialResult, ...]
    goal: Goal
    directory: Path
    stopped: str
    _load: Callable[[str], keras.Model] = field(repr=False)

    @property
    def objective(self) -> str:
        """Name of what the score is: of several objectives the first that Keras logs."""
        return self.goal.leading[0]

    @property
    def minimize(self) -> bool:
        """Whether less of the score is better."""
        return self.goal.leading[1] == "min"

    @property
    def front(self) -> list[TrialResult]:
        """The completed trials within the constraints that no other one beats: better in one objective, worse in none.

        Their weights are kept where there are several objectives.
        """
        return front_of(self.trials, self.goal)

    @property
    def best_trial(self) -> TrialResult:
        """The completed trial with the best score within the constraints, the first of equals.

        Where none keeps to the constraints it is the one that exceeds them the least.

        Raises:
            SearchError: No trial was completed; the text says what made the last one fail.
        """
        scored = best_first(self.trials, self.goal)
        if not scored:
            why = why_none(self.trials, self.goal) or self.stopped
            raise SearchError(f"none of {len(self.trials)} trials was completed: {why}")
        return scored[0]

    @property
    def best_values(self) -> dict[str, Any]:
        """The hyperparameters of the best trial; raises as `best_trial` does."""
        return self.best_trial.values

    @property
    def best_score(self) -> float:
        """The score of the best trial; raises as `best_trial` does."""
        score = self.best_trial.score
        assert score is not None
        return score

    def load(self, trial: TrialResult | str) -> keras.Model:
        """The model of a trial after its best epoch, built anew; after a cross-validation trained anew on all rows.

        Args:
            trial: The trial, or its id: one of the best `keep` that the search has kept, or of the front.

        Raises:
            SearchError: There is no such trial.
            ModelError: Its weights are not kept, or do not fit what `build` returns now.
        """
        wanted = trial if isinstance(trial, str) else trial.id
        if wanted not in {each.id for each in self.trials}:
            raise SearchError(f"there is no trial {wanted!r}; there are {len(self.trials)}, see .trials")
        return self._load(wanted)

    @functools.cached_property
    def best_model(self) -> keras.Model:
        """The model of the best trial after its best epoch, built anew and its weights read when first asked for.

        After a cross-validation it is trained on the whole train part, for as many epochs as were best.

        Raises:
            SearchError: No trial was completed.
            ModelError: Its weights are gone, or do not fit what `build` returns now.
        """
        return self._load(self.best_trial.id)


def best_first(trials: Iterable[TrialResult], goal: Goal) -> list[TrialResult]:
    """The trials that have a score, the best first, of equals the first; those that exceed a constraint come last."""
    sign = -1 if goal.leading[1] == "max" else 1
    scored = [((trial.violation, sign * trial.score), trial) for trial in trials if trial.score is not None]
    return [trial for _, trial in sorted(scored, key=lambda each: each[0])]


def front_of(trials: Iterable[TrialResult], goal: Goal) -> list[TrialResult]:
    """The Pareto front, in the order of creation."""
    scored = [trial for trial in trials if trial.score is not None]
    return [scored[number] for number in goal.front([trial.metrics for trial in scored])]


def outcome(trial: TrialResult) -> dict[str, Any]:
    """What became of a trial, as charts and files tell it: score, status, feasible."""
    return {"score": trial.score, "status": trial.status, "feasible": trial.feasible}


def why_none(trials: Iterable[TrialResult], goal: Goal) -> str:
    """Why no trial has a score: the bounds, where each that has ended exceeds them, else what the last error says.

    Args:
        trials: The trials, those that are running too.
        goal: Whose constraints count.

    Returns:
        A few words; none where nothing is known.
    """
    ended = [trial for trial in trials if trial.status in ENDED]
    if ended and all(trial.violation for trial in ended):
        return f"none keeps to {', '.join(map(str, goal.constraints))}, so that none was trained"
    return next((told for trial in reversed(list(trials)) if (told := last_line(trial))), "")


def unmet(trials: Iterable[TrialResult], goal: Goal) -> str:
    """The constraints, in words, where trials exceed them and none keeps to them all; else nothing."""
    found = list(trials)
    if any(trial.feasible for trial in found) or not any(trial.violation for trial in found):
        return ""
    return ", ".join(map(str, goal.constraints))


def last_line(trial: TrialResult) -> str:
    """The last line of a trial's error: of a traceback, what was raised; empty where there is none."""
    return ((trial.error or "").strip().splitlines() or [""])[-1]


def trial_result(trial: Trial, goal: Goal | None = None) -> TrialResult:
    """What KerasTuner's trial holds, in plain Python.

    Args:
        trial: The trial.
        goal: Whose constraints it may exceed, if there are any.
    """
    history = {
        name: {each.step: float(each.mean()) for each in trial.metrics.get_history(name)}
        for name in trial.metrics.metrics
    }
    metrics = {name: steps[trial.best_step] for name, steps in history.items() if trial.best_step in steps}
    return TrialResult(
        id=trial.trial_id,
        values=plain(trial.hyperparameters.values),
        score=None if trial.score is None else float(trial.score),
        status=trial.status,
        metrics=metrics,
        history={name: list(steps.values()) for name, steps in history.items()},
        error=trial.message,
        violation=goal.violation(metrics) if goal is not None else 0.0,
    )


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those in which a searcher says how a trial is trained.

    Example:
        >>> plain({"rate": 0.1, "tuner/epochs": 3})
        {'rate': 0.1}
    """
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}


def model_loader(
    job: Job, directory: Path, trials: Mapping[str, Trial], seeds: Mapping[str, int]
) -> Callable[[str], keras.Model]:
    """A function from a trial's id to its model with the weights that were kept; cross-validated, trained anew."""

    def load(trial_id: str) -> keras.Model:
        if job.folds:
            return refitted(job, trials[trial_id], seeds[trial_id])
        path = weights_path(directory, trial_id)
        if not path.exists():
            raise ModelError(
                f"the weights {path} are not there: a search keeps those of its best `keep` trials; "
                "train a model with the trial's .values"
            )
        return with_weights(job.build, trials[trial_id].hyperparameters, job.data, path)

    return load


def refitted(job: Job, trial: Trial, seed: int) -> keras.Model:
    """A cross-validated trial's model, trained on the whole train part up to its best epoch."""
    import keras

    if trial.best_step is None:
        raise ModelError(f"trial {trial.trial_id} has no best epoch to train a model for: its status is {trial.status}")
    keras.utils.set_random_seed(seed)
    model = built(job.build, trial.hyperparameters)
    model.fit(
        job.data.dataset("train"),
        epochs=int(trial.best_step) + 1,
        shuffle=False,  # the dataset does it; Keras warns of its own default
        verbose=0,
        callbacks=copied_callbacks(job.callbacks),
    )
    return model
