"""Trials of an earlier search, as the trials of this one are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit.errors import ParameterError
from tfkit.goal import Goal
from tfkit_searchers import records, space
from tfkit_searchers.enqueued import checked

# Values, and what a trial with them has reported.
Result = tuple[Mapping[str, Any], Mapping[str, float]]


def fitting(parameters: space.Space, goal: Goal, results: Iterable[Result]) -> Iterator[Result]:
    """The results that say something of this search, their values as its space has them.

    Those of hyperparameters that the space lacks are left out; those that it has besides take their defaults.

    Args:
        parameters: The space.
        goal: What every result must have reported.
        results: Those of the earlier search.
    """
    names = {parameter.name for parameter in parameters}
    for values, figures in results:
        if goal.is_scored(figures) and set(goal.names) <= figures.keys():
            try:
                yield checked(parameters, {name: value for name, value in values.items() if name in names}), figures
            except ParameterError:  # the space does not hold it
                continue


def as_trial(number: int, result: Result, parameters: space.Space, directions: Mapping[str, str]) -> Trial:
    """A completed trial that is none of this search, as its id says.

    Args:
        number: Counted from 0.
        result: Its values and what it has reported.
        parameters: The space.
        directions: The direction of each metric.
    """
    values, figures = result
    trial = Trial(space.hyperparameters(parameters, values), f"earlier-{number:04d}", TrialStatus.COMPLETED)
    for name, value in figures.items():
        records.add(trial, name, 0, value, directions)
    trial.best_step = 0
    return trial
