"""The searcher of a search: made as it is asked for, and checked against everything else that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfkit.errors import ParameterError
from tfkit.factory import create
from tfkit.pipeline.checkpoints import goal_of
from tfkit.pipeline.earlier import results_of
from tfkit.pipeline.runners.choice import runner_for
from tfkit.pipeline.trials import stop_rule
from tfkit.recipe import SearchSection, Step, step_name

if TYPE_CHECKING:
    import keras_tuner


def check_search(section: SearchSection) -> None:
    """Checks what needs neither data nor a model: before anything is trained it is told what is wrong.

    Args:
        section: Of a recipe.

    Raises:
        ParameterError: The searcher, objective, constraints, rule to stop or workers are none, or do not go together.
    """
    runner_for(section.workers)
    oracle = _oracle_of(section)
    given = {name: getattr(section, name) for name in ("cross_validation", "stop_early", "warm_start")}
    check_oracle(oracle, **given)


def check_earlier(section: SearchSection) -> None:
    """Checks the earlier search that one begins from; where that goes on it is not asked for, and may be gone.

    Args:
        section: Of a recipe.

    Raises:
        ParameterError: It is none, or one for other objectives.
        RunError: There is no search in the directory.
    """
    if section.warm_start is not None:
        results_of(section.warm_start, goal_of(_oracle_of(section)))


def _oracle_of(section: SearchSection) -> keras_tuner.Oracle:
    import keras_tuner

    space = keras_tuner.HyperParameters()
    return oracle_for(section.searcher, section.objective, section.constraints, section.trials, space, 0)


def oracle_for(
    searcher: Step, objective: Any, constraints: Any, trials: int | None, space: Any, seed: int | None
) -> keras_tuner.Oracle:
    """An oracle as `tfkit.search` is asked for it.

    Args:
        searcher: A searcher plugin: name or (name, params), which come before the others.
        objective: As for `tfkit.search`.
        constraints: As for `tfkit.search`.
        trials: Trials in all.
        space: `keras_tuner.HyperParameters` to begin with.
        seed: Its seed.
    """
    import keras_tuner

    if isinstance(objective, tuple) and len(objective) == 2 and objective[1] in ("min", "max"):
        objective = keras_tuner.Objective(*objective)
    name, params = step_name(searcher)
    bounds = {} if constraints is None else {"constraints": constraints}
    given = {"objective": objective, "max_trials": trials, "hyperparameters": space, "seed": seed, **bounds, **params}
    oracle = create("searcher", name, **given)
    oracle.verbose = 0
    return oracle


def check_oracle(oracle: keras_tuner.Oracle, **given: Any) -> None:
    """Checks that a searcher goes with its goal, and with cross_validation, stop_early and warm_start.

    Args:
        oracle: The searcher.
        **given: These three, as for `tfkit.search`.

    Raises:
        ParameterError: It does not; the text says what to leave out.
    """
    stop_rule(given["stop_early"], oracle.objective)
    _check_goal(oracle)
    if given["warm_start"] is not None and not hasattr(oracle, "inform"):
        raise ParameterError(f"the searcher {type(oracle).__name__} learns of no earlier search: leave out warm_start")
    wrong = [name for name, value in given.items() if value is not None and getattr(oracle, "continues", False)]
    if wrong:
        raise ParameterError(
            f"{type(oracle).__name__} trains trials further from where others have ended, which does not go with "
            f"{wrong[0]}: leave that out, or take another searcher"
        )


def _check_goal(oracle: keras_tuner.Oracle) -> None:
    goal = goal_of(oracle)
    if not goal.logged:
        raise ParameterError(
            f"{', '.join(goal.names)} says nothing of how good a model is: search for a metric too, or bound one, "
            "such as constraints={'val_accuracy': ('>=', 0.9)}"
        )
    if len(goal.objectives) > 1 and not hasattr(oracle, "goal"):
        raise ParameterError(f"{type(oracle).__name__} adds several objectives up: take searcher='genetic'")
