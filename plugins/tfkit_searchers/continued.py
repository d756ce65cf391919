"""Trials that train another one further, told in their values as KerasTuner's Hyperband tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit_searchers import space

PREFIX = "tuner/"
EPOCHS, INITIAL_EPOCH, TRIAL_ID = "tuner/epochs", "tuner/initial_epoch", "tuner/trial_id"
ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


def trained(
    values: Mapping[str, Any], epochs: int, initial_epoch: int = 0, parent: Trial | None = None, **others: Any
) -> space.Values:
    """Values that say how a trial is trained.

    Args:
        values: Of the hyperparameters; what they say of another training is left out.
        epochs: The epoch to end at.
        initial_epoch: The epoch to begin at.
        parent: The trial whose weights are trained further; None to begin anew.
        **others: More to tell, by names without "tuner/".

    Example:
        >>> trained({"units": 8, "tuner/round": 0}, epochs=4, round=1)
        {'units': 8, 'tuner/epochs': 4, 'tuner/initial_epoch': 0, 'tuner/round': 1}
    """
    told = {EPOCHS: epochs, INITIAL_EPOCH: initial_epoch, **{PREFIX + name: each for name, each in others.items()}}
    return {**plain(values), **told, **({} if parent is None else {TRIAL_ID: parent.trial_id})}


def plain(values: Mapping[str, Any]) -> space.Values:
    """The values of hyperparameters alone."""
    return {name: value for name, value in values.items() if not name.startswith(PREFIX)}


def best_first(trials: list[Trial], direction: str) -> list[Trial]:
    """The completed ones of some trials, the best score first, of equal ones the earlier trial."""
    sign = -1.0 if direction == "max" else 1.0
    done = [trial for trial in trials if trial.status == TrialStatus.COMPLETED]
    return sorted(done, key=lambda trial: sign * trial.score)
