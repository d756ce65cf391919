"""cross_validated: a trial of several fits, one on each fold."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfkit.pipeline.folds import folds
from tfkit.pipeline.runners.protocol import Figures, Histories, TrialRequest, Watcher

if TYPE_CHECKING:
    import keras_tuner

    from tfkit.pipeline.trials import Job


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

    A rule that ends bad trials judges the first fold; a trial that it ends has no other.

    Args:
        job: What the trials have in common.
        request: The trial; each fold has a seed of its own.
        hp: Its hyperparameters.
        watcher: Is told of the first fold's epochs.

    Returns:
        The means over the folds after each epoch that all have had, and in "OBJECTIVE_std" the standard deviation.
    """
    from tfkit.pipeline.trials import fitted

    begun, found = time.monotonic(), []
    for number, data in enumerate(folds(job.data, job.cross_validation)):
        fit = fitted(
            dataclasses.replace(job, data=data, cross_validation=None),
            _of_fold(request, number, time.monotonic() - begun, job.objective.direction),
            hp,
            _Nobody() if number else watcher,
        )
        if fit.was_given_up:
            return fit.history
        found.append(fit.history)
    return means(found, job.objective.name)


def means(histories: Sequence[Sequence[Figures]], objective: str) -> list[Figures]:
    """The means of several fits after each epoch that all have had.

    Example:
        >>> means([[{"loss": 1.0}, {"loss": 2.0}], [{"loss": 3.0}]], "loss")
        [{'loss': 2.0, 'loss_std': 1.0}]
    """
    found = []
    for epoch in zip(*histories):
        names = [name for name in epoch[0] if all(name in figures for figures in epoch)]
        figures = {name: statistics.fmean(each[name] for each in epoch) for name in names}
        if objective in figures:
            figures[f"{objective}_std"] = statistics.pstdev(each[objective] for each in epoch)
        found.append(figures)
    return found


def _of_fold(request: TrialRequest, number: int, spent: float, direction: str) -> TrialRequest:
    seconds = None if request.timeout is None else max(0.0, request.timeout - spent)
    seed = (request.seed + number) % 2**32
    # Nothing beats that: the weights of a fold are not kept.
    to_beat = math.inf if direction == "max" else -math.inf
    return dataclasses.replace(request, seed=seed, to_beat=to_beat, timeout=seconds)
