"""An earlier search that a new one begins from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.errors import ParameterError
from tfkit.goal import Goal
from tfkit.pipeline.checkpoints import goal_of
from tfkit.pipeline.search_folder import open_search, read_search_facts
from tfkit.pipeline.search_result import SearchResult, TrialResult
from tfkit.progress import say

if TYPE_CHECKING:
    import keras_tuner

Earlier = str | Path | SearchResult


def inform(oracle: keras_tuner.Oracle, earlier: Earlier, folder: Path) -> None:
    """Tells an oracle of the completed trials of an earlier search, and says how many fit, when the new one begins.

    One that goes on keeps to what it was told first, and the earlier search need not be there any more.

    Args:
        oracle: Of the new search, whose directory is set.
        earlier: The earlier one: its directory, or its result.
        folder: The directory of the new search.

    Raises:
        ParameterError: It is none, this one, or of other objectives; or the searcher takes none.
        RunError: There is no search in the directory.
        SearchError: The new search has trials already, and was told of no earlier one.
    """
    place = _place(earlier)
    if _is_same(place, str(folder.resolve())):
        raise ParameterError(f"warm_start is the directory of this search, {folder}: leave it out, it goes on anyway")
    if getattr(oracle, "is_informed", False):
        first = origin(folder, earlier)
        if first is not None and not _is_same(place, first):
            say(f"search: goes by the earlier search in {first}, with which it began; that in {place} is not read")
        return
    results = results_of(earlier, goal_of(oracle))
    taken = oracle.inform(results)
    if taken is None:
        return
    left = len(results) - taken
    others = f"; {left} do not fit its space or goal" if left else ""
    say(f"search: goes by {taken} of {len(results)} trials of an earlier search{others}")


def origin(folder: Path, earlier: Earlier | None) -> str | None:
    """The whole path of the search that the one in a folder has begun from, or begins from now; None for none."""
    first: str | None = read_search_facts(folder).get("warm_start")
    return first if first is not None or earlier is None else _place(earlier)


def _place(earlier: Earlier) -> str:
    if not isinstance(earlier, (str, Path, SearchResult)):
        raise ParameterError(f"warm_start must be the directory or the result of an earlier search; got {earlier!r}")
    return str((earlier.directory if isinstance(earlier, SearchResult) else Path(earlier)).resolve())


def results_of(earlier: Earlier, goal: Goal) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """The values and figures of an earlier search's trials.

    Args:
        earlier: Its directory, or its result.
        goal: That of the new search.

    Raises:
        ParameterError: It is one for other objectives.
        RunError: There is no search in the directory.
    """
    before, trials = _read(earlier)
    if set(before.objectives) != set(goal.objectives):
        raise ParameterError(
            f"warm_start is a search for {_told(before)}, and this one is for {_told(goal)}: leave it out, or search "
            "for the same"
        )
    return [(trial.values, trial.metrics) for trial in trials if trial.score is not None]


def _read(earlier: Earlier) -> tuple[Goal, tuple[TrialResult, ...]]:
    if isinstance(earlier, SearchResult):
        return earlier.goal, earlier.trials
    found = open_search(earlier)
    return found.goal, found.trials


def _is_same(one: str, other: str) -> bool:
    """Whether two paths are of one search: that of a run lies in the run's folder."""
    return one == other or Path(one, "search") == Path(other) or Path(other, "search") == Path(one)


def _told(goal: Goal) -> str:
    return ", ".join(f"{direction} {name}" for name, direction in goal.objectives)
