"""What a trial has reported, in KerasTuner's own containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit.goal import Goal
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


def best(trial: Trial, goal: Goal) -> tuple[float | None, float | None]:
    """The score and the step of the best step where every objective is finite; None and None where there is none."""
    steps = {step: figures for step, figures in _by_step(trial).items() if goal.is_scored(figures)}
    if not steps:
        return None, None
    step = min(steps, key=lambda each: goal.place(steps[each]))
    return steps[step][goal.leading[0]], step


def excluded(trial: Trial, goal: Goal) -> float | None:
    """The step at which a trial that was not trained has shown that it exceeds a bound; None where it was trained."""
    if not goal.constraints or any(trial.metrics.exists(name) for name in _of_training(goal)):
        return None
    return next((step for step, figures in _by_step(trial).items() if is_excluded(figures, goal)), None)


def is_excluded(figures: Mapping[str, float], goal: Goal) -> bool:
    """Whether what is reported exceeds a bound, and nothing was trained for it."""
    return not figures.keys() & _of_training(goal) and goal.violation(figures) > 0


def figures(trial: Trial) -> dict[str, float]:
    """What a trial that has ended has reported at its best step."""
    if trial.best_step is None:
        return {}
    found = {name: _at(trial, name, trial.best_step) for name in trial.metrics.metrics}
    return {name: value for name, value in found.items() if value is not None}


def clear(trial: Trial) -> None:
    """Makes a trial as it was before it ran; its id and values stay."""
    trial.status, trial.message = TrialStatus.RUNNING, None
    trial.score, trial.best_step = None, None
    trial.metrics = type(trial.metrics)()


def _of_training(goal: Goal) -> set[str]:
    """What a trial reports that was trained; of a goal that asks for nothing that Keras logs, what leads."""
    return set(goal.logged or goal.leading[:1])


def _at(trial: Trial, metric: str, step: float) -> float | None:
    return next((float(each.mean()) for each in trial.metrics.get_history(metric) if each.step == step), None)


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
