"""What a trial has reported, in KerasTuner's own containers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit_searchers.objective import direction_of


class Directions(dict[str, str]):
    """The direction of each metric, worked out once; KerasTuner takes 50 ms to guess some."""

    def __init__(self, objective: keras_tuner.Objective) -> None:
        super().__init__({each.name: each.direction for each in getattr(objective, "objectives", [objective])})

    def __missing__(self, metric: str) -> str:
        self[metric] = direction_of(metric) or "min"
        return self[metric]


def add(trial: Trial, metric: str, step: float, value: float, directions: Mapping[str, str]) -> None:
    """Adds one value to a trial's metrics."""
    if not trial.metrics.exists(metric):
        trial.metrics.register(metric, directions[metric])
    trial.metrics.metrics[metric].update(value, step)


def new_rows(trial: Trial, figures: Mapping[str, float], step: float) -> Iterator[tuple[int, str, float, int, float]]:
    """The database's rows for figures that are about to be added: trial, metric, step, execution, value."""
    for metric, value in figures.items():
        yield int(trial.trial_id), metric, step, _executions(trial, metric, step), value


def best(trial: Trial, objective: keras_tuner.Objective) -> tuple[float, float | None]:
    """The score and the step of the best finite step; NaN and None where there is none."""
    score, best_step = math.nan, None
    for step, figures in _by_step(trial).items():
        if not objective.has_value(figures):
            continue
        value = float(objective.get_value(figures))
        if math.isfinite(value) and (best_step is None or objective.better_than(value, score)):
            score, best_step = value, step
    return score, best_step


def losses(trial: Trial, objective: keras_tuner.Objective) -> list[float]:
    """What a completed trial has reached of each objective at its best step; the opposites of what is maximized."""
    several = getattr(objective, "objectives", None)
    if several is None:
        return [_loss(trial.score, objective)]
    return [_loss(_at(trial, each.name, trial.best_step), each) for each in several]


def clear(trial: Trial) -> None:
    """Makes a trial as it was before it ran; its id and values stay."""
    trial.status, trial.message = TrialStatus.RUNNING, None
    trial.score, trial.best_step = None, None
    trial.metrics = type(trial.metrics)()


def _loss(value: float, objective: keras_tuner.Objective) -> float:
    return -value if objective.direction == "max" else value


def _at(trial: Trial, metric: str, step: float) -> float:
    return next(float(each.mean()) for each in trial.metrics.get_history(metric) if each.step == step)


def _executions(trial: Trial, metric: str, step: float) -> int:
    if not trial.metrics.exists(metric):
        return 0
    return sum(len(each.value) for each in trial.metrics.get_history(metric) if each.step == step)


def _by_step(trial: Trial) -> dict[float, dict[str, float]]:
    found: dict[float, dict[str, float]] = {}
    for metric in trial.metrics.metrics:
        for observation in trial.metrics.get_history(metric):
            found.setdefault(observation.step, {})[metric] = float(observation.mean())
    return dict(sorted(found.items()))
