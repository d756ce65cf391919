"""Checks of searchers: driven by hand, as KerasTuner's Tuner drives them, on a space of 12 points."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tfkit.parameters import parameters
from tfkit.registry import Plugin
from tfkit.testing.examples import Example, make, require, spec_of, workable

if TYPE_CHECKING:
    import keras_tuner

_POINTS = 12
# Enough for a searcher that trains every point at several lengths.
_ROUNDS = 30 * _POINTS


def stops_at_the_end(plugin: Plugin) -> None:
    """When nothing is left to try and nothing is pending, it answers STOPPED."""
    for example in workable(plugin):
        oracle = _oracle(plugin, example, _space())
        ended = _drive(oracle, _ROUNDS)
        require(ended == "STOPPED", f"{dict(example)} answers {ended} after {len(oracle.trials)} trials of 12 points")


def keeps_to_max_trials(plugin: Plugin) -> None:
    """With max_trials=5 it runs 5 trials, if it takes max_trials."""
    if "max_trials" not in _taken(plugin):
        return
    for example in workable(plugin)[:1]:
        oracle = _oracle(plugin, example, _space(), max_trials=5)
        _drive(oracle, _ROUNDS)
        require(len(oracle.trials) == 5, f"{dict(example)} runs {len(oracle.trials)} trials with max_trials=5")


def values_are_distinct(plugin: Plugin) -> None:
    """No set of values comes twice."""
    for example in workable(plugin):
        oracle = _oracle(plugin, example, _space())
        _drive(oracle, _ROUNDS)
        seen = [tuple(sorted(values.items(), key=str)) for values in _values(oracle)]
        again = [values for position, values in enumerate(seen) if values in seen[:position]]
        require(not again, f"{dict(example)} gives {dict(again[0]) if again else ''} twice")


def values_are_within_bounds(plugin: Plugin) -> None:
    """Every value is one that its hyperparameter declares: logarithmic, stepped and conditional ones too."""
    for example in workable(plugin)[:1]:
        oracle = _oracle(plugin, example, _wide_space())
        _drive(oracle, 40)
        for values in _values(oracle):
            require("deep" not in values or values["kind"] == "b", f"'deep' is set though it is inactive: {values}")
            for name, good in _DECLARED.items():
                require(name not in values or good(values[name]), f"{name!r} is {values.get(name)!r}: out of bounds")


def same_seed_gives_the_same_trials(plugin: Plugin) -> None:
    """Two searches of one seed try the same values in the same order."""
    for example in workable(plugin)[:1]:
        oracles = [_oracle(plugin, example, _wide_space(), project=name) for name in ("one", "other")]
        for oracle in oracles:
            _drive(oracle, 8)
        one, other = (list(_values(oracle)) for oracle in oracles)
        differing = next((pair for pair in zip(one, other) if pair[0] != pair[1]), None)
        require(differing is None and len(one) == len(other), f"two searches of one seed differ: {differing}")


def reload_restores_the_trials(plugin: Plugin) -> None:
    """A new searcher that reloads the directory has the same trials: ids, values, scores and statuses."""
    for example in workable(plugin)[:1]:
        oracle = _oracle(plugin, example, _space())
        _drive(oracle, 4)
        again = _oracle(plugin, example, _space())
        again.reload()
        wanted, got = _summary(oracle), _summary(again)
        require(got == wanted, f"after reload() the trials are {got}; they were {wanted}")


def reload_of_nothing_does_nothing(plugin: Plugin) -> None:
    """`reload` in an empty directory raises nothing, and the search begins as without it."""
    for example in workable(plugin)[:1]:
        oracle = _oracle(plugin, example, _space())
        oracle.reload()
        require(not oracle.trials, f"reload() of an empty directory finds {len(oracle.trials)} trials")
        require(_drive(oracle, 2) == "RUNNING", "no trial comes after reload() of an empty directory")


def interrupted_trial_comes_first(plugin: Plugin) -> None:
    """After a reload, the trial that was running is given again before any other, with its id and values."""
    for example in workable(plugin)[:1]:
        oracle = _oracle(plugin, example, _space())
        _drive(oracle, 3)
        running = oracle.create_trial("tuner0")
        wanted = (running.trial_id, running.hyperparameters.values)
        again = _oracle(plugin, example, _space())
        again.reload()
        trial = again.create_trial("tuner0")
        got = (trial.trial_id, trial.hyperparameters.values)
        require(got == wanted, f"after reload() the trial {got} comes; {wanted} was running")


def infinite_score_is_no_success(plugin: Plugin) -> None:
    """A trial whose score is NaN or infinite does not end as COMPLETED."""
    for example in workable(plugin)[:1]:
        for score in (math.nan, -math.inf, math.inf):
            oracle = _oracle(plugin, example, _space(), project=f"score {score}")
            trial = oracle.create_trial("tuner0")
            _finish(oracle, trial, score)
            status = oracle.get_trial(trial.trial_id).status
            require(status in ("FAILED", "INVALID"), f"a trial with the score {score} ends as {status}")


def _taken(plugin: Plugin) -> set[str]:
    return {each.name for each in parameters(spec_of(plugin).params)}


def _oracle(
    plugin: Plugin,
    example: Example,
    space: keras_tuner.HyperParameters,
    max_trials: int = 100,
    project: str = "search",
) -> keras_tuner.Oracle:
    import keras_tuner

    ours = {
        "objective": keras_tuner.Objective("score", "min"),
        "max_trials": max_trials,
        "hyperparameters": space,
        "seed": 7,
    }
    taken = _taken(plugin)
    oracle = make(plugin, {**example, **{name: value for name, value in ours.items() if name in taken}})
    oracle.verbose = 0
    # Each example searches on its own.
    oracle._set_project_dir(f"searches/{zlib.crc32(repr(example).encode()):x}", project)
    return oracle


def _space() -> keras_tuner.HyperParameters:
    import keras_tuner

    space = keras_tuner.HyperParameters()
    space.Choice("letter", ["x", "y", "z"])
    space.Int("number", 0, 3)
    return space


_DECLARED: Mapping[str, Callable[[Any], bool]] = {
    "kind": lambda value: value in ("a", "b"),
    "deep": lambda value: value in (1, 2, 3),
    "rate": lambda value: 1e-4 <= value <= 1e-1,
    "units": lambda value: 4 <= value <= 256 and value == int(value),
    "share": lambda value: min(abs(value - step / 4) for step in range(5)) < 1e-9,
    "flag": lambda value: value in (True, False),
}


def _wide_space() -> keras_tuner.HyperParameters:
    import keras_tuner

    space = keras_tuner.HyperParameters()
    space.Choice("kind", ["a", "b"])
    with space.conditional_scope("kind", ["b"]):
        space.Int("deep", 1, 3)
    space.Float("rate", 1e-4, 1e-1, sampling="log")
    space.Int("units", 4, 256, sampling="log")
    space.Float("share", 0.0, 1.0, step=0.25)
    space.Boolean("flag")
    return space


def _drive(oracle: keras_tuner.Oracle, rounds: int) -> str:
    """Runs trials, at most so many, and returns the status of the last."""
    for _ in range(rounds):
        trial = oracle.create_trial("tuner0")
        if trial.status != "RUNNING":
            return str(trial.status)
        _finish(oracle, trial, _score(trial.hyperparameters.values))
    return "RUNNING"


def _finish(oracle: keras_tuner.Oracle, trial: keras_tuner.Trial, score: float) -> None:
    oracle.update_trial(trial.trial_id, {"score": score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def _score(values: dict[str, Any]) -> float:
    """Any fixed function of the values."""
    return float(sum((position + 1) * len(str(value)) for position, value in enumerate(values.values())))


def _values(oracle: keras_tuner.Oracle) -> list[dict[str, Any]]:
    return [dict(trial.hyperparameters.values) for trial in oracle.trials.values()]


def _summary(oracle: keras_tuner.Oracle) -> dict[str, Any]:
    return {name: (trial.hyperparameters.values, trial.score, trial.status) for name, trial in oracle.trials.items()}


CHECKS = (
    stops_at_the_end,
    keeps_to_max_trials,
    values_are_distinct,
    values_are_within_bounds,
    same_seed_gives_the_same_trials,
    reload_restores_the_trials,
    reload_of_nothing_does_nothing,
    interrupted_trial_comes_first,
    infinite_score_is_no_success,
)
