"""Searchers, tfkit's and its peers': each a function that tries so many values of a problem and tells of every one."""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras_tuner
import numpy as np
from search_problems.problem import Problem, Values

import tfkit

# Given values, the score, NaN where the trial fails.
Measure = Callable[[Values], float]
Searcher = Callable[[Problem, Measure, int, int], None]


def drive(oracle: keras_tuner.Oracle, measure: Measure) -> None:
    """Runs an oracle to its end."""
    oracle.verbose = 0
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        oracle.update_trial(trial.trial_id, {"score": measure(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)


def tfkit_searcher(name: str, problem: Problem, measure: Measure, trials: int, seed: int, **options: Any) -> None:
    options |= {"objective": keras_tuner.Objective("score", "min"), "max_trials": trials, "seed": seed}
    drive(
        tfkit.create(
            "searcher", name, hyperparameters=problem.space(), max_consecutive_failed_trials=trials, **options
        ),
        measure,
    )


def keras_tuner_oracle(name: str, problem: Problem, measure: Measure, trials: int, seed: int) -> None:
    oracle = getattr(keras_tuner.oracles, name)(
        objective=keras_tuner.Objective("score", "min"),
        max_trials=trials,
        hyperparameters=problem.space(),
        # It takes 0 for none, and counts up from its seed.
        seed=1000 * (seed + 1),
        max_consecutive_failed_trials=trials,
    )
    with tempfile.TemporaryDirectory() as folder:
        oracle._set_project_dir(folder, "search")
        drive(oracle, measure)


def optuna_sampler(name: str, problem: Problem, measure: Measure, trials: int, seed: int, **options: Any) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=seed, **options))
    space = problem.space().space
    for _ in range(trials):
        trial = study.ask()
        values = suggested(space, lambda parameter, trial=trial: _suggest(trial, parameter))
        score = measure(values)
        if np.isfinite(score):
            study.tell(trial, score)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def catcma(problem: Problem, measure: Measure, trials: int, seed: int) -> None:
    """CatCMA with margin; hyperparameters of closed scopes are searched like all others, and left out of the values."""
    from cmaes import CatCMAwM

    space = problem.space().space
    kinds = {parameter.name: _kind(parameter) for parameter in space}
    ordered = {kind: [each for each in space if kinds[each.name] == kind] for kind in "xzc"}
    optimizer = CatCMAwM(
        x_space=np.array([[0.0, 1.0]] * len(ordered["x"])) if ordered["x"] else None,
        z_space=[list(range(len(_values(each)))) for each in ordered["z"]] or None,
        c_space=np.array([len(_values(each)) for each in ordered["c"]]) if ordered["c"] else None,
        seed=seed,
    )
    done = 0
    while done < trials:
        told = []
        for _ in range(min(optimizer.population_size, trials - done)):
            solution = optimizer.ask()
            chosen = {
                each.name: each.prob_to_value(min(p, 1 - 1e-12)) for each, p in zip(ordered["x"], _list(solution.x))
            }
            chosen |= {each.name: _values(each)[int(z)] for each, z in zip(ordered["z"], _list(solution.z))}
            chosen |= {each.name: _values(each)[int(np.argmax(c))] for each, c in zip(ordered["c"], _list(solution.c))}
            score = measure(suggested(space, lambda parameter, chosen=chosen: chosen[parameter.name]))
            told.append((solution, score if np.isfinite(score) else 1e12))
            done += 1
        if len(told) == optimizer.population_size:
            optimizer.tell(told)


def suggested(space: Any, value: Callable[[Any], Any]) -> dict[str, Any]:
    """A value for each hyperparameter whose scopes are open under the values before it."""
    found: dict[str, Any] = {}
    for parameter in space:
        if all(condition.is_active(found) for condition in parameter.conditions):
            found[parameter.name] = value(parameter)
    return found


def available() -> Mapping[str, Searcher]:
    """Every searcher whose package is installed."""
    found = {
        "tfkit bayesian": partial(tfkit_searcher, "bayesian"),
        "tfkit genetic": partial(tfkit_searcher, "genetic"),
        "tfkit genetic, no model": partial(tfkit_searcher, "genetic", offspring=1),
        "tfkit sobol": partial(tfkit_searcher, "sobol"),
        "tfkit random": partial(tfkit_searcher, "random"),
        "KerasTuner Bayesian": partial(keras_tuner_oracle, "BayesianOptimizationOracle"),
        "KerasTuner Random": partial(keras_tuner_oracle, "RandomSearchOracle"),
    }
    if _installed("optuna"):
        found["Optuna TPE"] = partial(optuna_sampler, "TPESampler")
        found["Optuna TPE multivariate"] = partial(optuna_sampler, "TPESampler", multivariate=True)
    if _installed("optuna", "torch"):
        found["Optuna GP"] = partial(optuna_sampler, "GPSampler")
    if _installed("cmaes"):
        found["CatCMA with margin"] = catcma
    return found


def missing() -> list[str]:
    """What is left out, and why."""
    needs = {"Optuna TPE": ("optuna",), "Optuna GP": ("optuna", "torch"), "CatCMA with margin": ("cmaes",)}
    return [
        f"{name} is left out: it needs {' and '.join(each)}" for name, each in needs.items() if not _installed(*each)
    ]


def _installed(*packages: str) -> bool:
    return all(importlib.util.find_spec(each) for each in packages)


def _suggest(trial: Any, parameter: Any) -> Any:
    kind = type(parameter).__name__
    if kind == "Float":
        return trial.suggest_float(
            parameter.name,
            parameter.min_value,
            parameter.max_value,
            step=parameter.step,
            log=parameter.sampling == "log",
        )
    if kind == "Int":
        return trial.suggest_int(
            parameter.name,
            parameter.min_value,
            parameter.max_value,
            step=parameter.step or 1,
            log=parameter.sampling == "log",
        )
    return trial.suggest_categorical(parameter.name, list(parameter.values))


def _kind(parameter: Any) -> str:
    """x for numbers without steps, z for ordered values, c for choices."""
    kind = type(parameter).__name__
    if kind in ("Float", "Int") and parameter.step is None and (kind == "Float" or parameter.sampling == "log"):
        return "x"
    if kind in ("Float", "Int") or getattr(parameter, "ordered", False):
        return "z"
    return "c"


def _values(parameter: Any) -> list[Any]:
    from tfkit_searchers.levels import levels

    return list(levels(parameter) or ())


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(values)


warnings.filterwarnings("ignore", module="(optuna|sklearn|cmaes).*")
