"""cross_validated: a trial of several fits, one on each fold."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tfkit.pipeline.folds import fold
from tfkit.pipeline.runners.protocol import Figures, Histories, TrialRequest, Watcher

if TYPE_CHECKING:
    import keras_tuner

    from tfkit.pipeline.trials import Job

# Before the names of what the first fold alone has reported.
_FIRST = "first_fold/"


class _Nobody:
    """Is told of the folds after the first, whose epochs no other trial is compared with."""

    def epoch(self, request: TrialRequest, epoch: int, figures: Figures) -> None:
        """Does nothing."""

    def histories(self) -> Histories:
        """Nothing."""
        return {}


def cross_validated(
    job: Job, request: TrialRequest, hp: keras_tuner.HyperParameters, watcher: Watcher
) -> list[Figures]:
    """Trains a model on each fold.

    A rule that ends bad trials judges the first fold; where it ends that, the others get as many epochs.

    Args:
        job: What the trials have in common.
        request: The trial; each fold has a seed of its own.
        hp: Its hyperparameters.
        watcher: Is told of the first fold's epochs.

    Returns:
        As `means` says, of the epochs that all folds have had, and what is measured of the first fold's model.
    """
    from tfkit.pipeline.trials import fitted, measured

    begun, found, figures = time.monotonic(), [], {}
    for number, rows in enumerate(job.folds):
        part = dataclasses.replace(job, data=fold(job.data, rows), folds=())
        run = _of_fold(request, number, time.monotonic() - begun, job.objective.direction)
        fit = fitted(part, run, hp, _Nobody() if number else watcher)
        if fit.was_given_up:
            request = dataclasses.replace(request, epochs=len(fit.history))
        if not number:
            figures = measured(part, fit.model)
        found.append(fit.history)
    return [{**each, **figures} for each in means(found, job.objective.name)]


def means(histories: Sequence[Sequence[Figures]], objective: str) -> list[Figures]:
    """The means of several fits after each epoch that all have had, and what the first had there.

    The standard deviation of the objective is in "OBJECTIVE_std".

    Example:
        >>> means([[{"loss": 1.0}, {"loss": 2.0}], [{"loss": 3.0}]], "loss")
        [{'loss': 2.0, 'loss_std': 1.0, 'first_fold/loss': 1.0}]
    """
    import numpy as np

    found = []
    for epoch in zip(*histories):
        names = [name for name in epoch[0] if all(name in figures for figures in epoch)]
        values = {name: np.array([figures[name] for figures in epoch]) for name in names}
        with np.errstate(invalid="ignore"):  # what is not finite has a mean that is not
            told = {name: float(each.mean()) for name, each in values.items()}
            if objective in values:
                told[f"{objective}_std"] = float(values[objective].std())
        found.append({**told, **{f"{_FIRST}{name}": value for name, value in epoch[0].items()}})
    return found


def first_folds(history: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """What the first fold has reported; all of it where there are no folds.

    Example:
        >>> first_folds({"loss": [2.0], "loss_std": [1.0], "first_fold/loss": [1.0]})
        {'loss': [1.0]}
        >>> first_folds({"loss": [2.0]})
        {'loss': [2.0]}
    """
    first = {name.removeprefix(_FIRST): values for name, values in history.items() if name.startswith(_FIRST)}
    return first or dict(history)


def _of_fold(request: TrialRequest, number: int, spent: float, direction: str) -> TrialRequest:
    seconds = None if request.timeout is None else max(0.0, request.timeout - spent)
    seed = (request.seed + number) % 2**32
    # Nothing beats that: the weights of a fold are not kept.
    to_beat = math.inf if direction == "max" else -math.inf
    return dataclasses.replace(request, seed=seed, to_beat=to_beat, timeout=seconds)
