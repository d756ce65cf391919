"""An earlier search that a new one begins from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.errors import ParameterError
from tfkit.goal import Goal
from tfkit.pipeline.checkpoints import goal_of
from tfkit.pipeline.search_folder import open_search
from tfkit.pipeline.search_result import SearchResult, TrialResult
from tfkit.progress import say

if TYPE_CHECKING:
    import keras_tuner

Earlier = str | Path | SearchResult


def inform(oracle: keras_tuner.Oracle, earlier: Earlier) -> None:
    """Tells an oracle of the completed trials of an earlier search, and says how many fit, when the new one begins.

    Args:
        oracle: Of the new search, whose directory is set.
        earlier: The earlier one: its directory, or its result.

    Raises:
        ParameterError: It is none, or of other objectives; or the searcher takes none.
        RunError: There is no search in the directory.
    """
    if not hasattr(oracle, "inform"):
        raise ParameterError(f"the searcher {type(oracle).__name__} learns of no earlier search: leave out warm_start")
    results = results_of(earlier, goal_of(oracle))
    taken = oracle.inform(results)
    if taken is None:
        return
    left = len(results) - taken
    others = f"; {left} do not fit its space or goal" if left else ""
    say(f"search: goes by {taken} of {len(results)} trials of an earlier search{others}")


def results_of(earlier: Earlier, goal: Goal) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """The values and figures of an earlier search's trials.

    Args:
        earlier: Its directory, or its result.
        goal: That of the new search.

    Raises:
        ParameterError: It is no search, or one for other objectives.
        RunError: There is no search in the directory.
    """
    before, trials = _read(earlier)
    if set(before.objectives) != set(goal.objectives):
        raise ParameterError(
            f"warm_start is a search for {_told(before)}, and this one is for {_told(goal)}: leave it out, or search "
            "for the same"
        )
    return [(trial.values, trial.metrics) for trial in trials if trial.score is not None]


def _read(earlier: Any) -> tuple[Goal, tuple[TrialResult, ...]]:
    if isinstance(earlier, SearchResult):
        return earlier.goal, earlier.trials
    if not isinstance(earlier, (str, Path)):
        raise ParameterError(f"warm_start must be the directory or the result of an earlier search; got {earlier!r}")
    found = open_search(earlier)
    return found.goal, found.trials


def _told(goal: Goal) -> str:
    return ", ".join(f"{direction} {name}" for name, direction in goal.objectives)
