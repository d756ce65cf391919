"""The trials of KerasSearchCV: an oracle driven by hand, each trial on disk before the next begins."""

from __future__ import annotations

import contextlib
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.errors import ParameterError, SearchError
from tfkit.factory import create
from tfkit.pipeline.lock import locked
from tfkit.pipeline.search_folder import read_search_facts, write_search_facts
from tfkit.pipeline.session import clear_session
from tfkit.pipeline.space import Build, explore
from tfkit.progress import task
from tfkit.recipe import Step, step_name
from tfkit.sklearn.cv_results import figures

if TYPE_CHECKING:
    import keras_tuner
    from keras_tuner.engine.trial import Trial

# What cross_validate gives for a set of values.
Scores = Callable[[dict[str, Any]], Mapping[str, Any]]
Metric = Callable[[Iterable[str]], str]

_OBJECTIVE = "mean_test_score"


def new_oracle(searcher: Step, build: Build, max_trials: int | None, seed: int | None) -> keras_tuner.Oracle:
    """The searcher, for the space that `build` asks for.

    Raises:
        ParameterError: It trains trials further, which needs their weights.
        ModelError: `build` raises or returns no compiled model.
    """
    import keras_tuner

    name, params = step_name(searcher)
    objective = keras_tuner.Objective(_OBJECTIVE, "max")
    given = {"objective": objective, "max_trials": max_trials, "seed": seed, "hyperparameters": explore(build)}
    oracle = create("searcher", name, **{**given, **params})
    if getattr(oracle, "continues", False):
        raise ParameterError(
            f"searcher {name!r} trains trials further, which cross-validation does not: "
            "choose another for KerasSearchCV"
        )
    oracle.verbose = 0
    return oracle


@contextlib.contextmanager
def search_folder(directory: str | Path | None) -> Iterator[Path]:
    """The folder of the search, held for this process; a temporary one goes at the end."""
    with contextlib.ExitStack() as undo:
        if directory is None:
            directory = undo.enter_context(tempfile.TemporaryDirectory(prefix="tfkit-search-"))
        folder = Path(directory).resolve()
        undo.enter_context(locked(folder, "search.lock"))
        yield folder


def adopt(folder: Path, facts: Mapping[str, Any], searcher: Step, trials: int | None) -> None:
    """Stores what a search is of, or checks that the one which is there is of the same.

    Args:
        folder: The search's.
        facts: What its scores depend on.
        searcher: Its searcher, stored besides.
        trials: Trials in all, stored besides.

    Raises:
        SearchError: It is of something else; the text says what.
    """
    before = read_search_facts(folder)
    for name, value in facts.items():
        if before and before.get(name) != value:
            what = "other rows or splits" if name == "rows" else f"{name}={before.get(name)}"
            raise SearchError(f"the search in {folder} is of {what}: go on as it was begun, or in another directory")
    write_search_facts(folder, searcher=searcher, trials=trials, **facts)


def run_trials(oracle: keras_tuner.Oracle, folder: Path, scores: Scores, metric: Metric, *, fail: bool) -> list[Trial]:
    """Runs the trials that are missing.

    Args:
        oracle: The searcher.
        folder: Where it keeps them.
        scores: Cross-validates a set of values.
        metric: Says which of the scores, by their names, is searched for, such as "test_score".
        fail: Whether an error ends the search.

    Returns:
        All trials that have ended, in the order of creation.

    Raises:
        SearchError: Too many trials in a row have failed.
    """
    oracle._set_project_dir(str(folder.parent), folder.name)
    oracle.reload()
    try:
        with task("search", total=oracle.max_trials) as advance:
            for _ in oracle.end_order:
                advance("")
            while (trial := oracle.create_trial("tfkit")).status == "RUNNING":
                _run(oracle, trial, scores, metric, fail)
                advance("")
    finally:
        ended = {each: oracle.trials[each] for each in oracle.end_order}
        getattr(oracle, "close", lambda: None)()
    return [ended[each] for each in sorted(ended)]


def _run(oracle: keras_tuner.Oracle, trial: Trial, scores: Scores, metric: Metric, fail: bool) -> None:
    clear_session()
    try:
        found = scores(dict(trial.hyperparameters.values))
    except Exception:
        if fail:
            raise
        trial.status, trial.message = "FAILED", traceback.format_exc()
    else:
        score = float(found[metric(found)].mean())
        oracle.update_trial(trial.trial_id, {_OBJECTIVE: score, **figures(found)}, step=0)
        trial.status = "COMPLETED"
    oracle.end_trial(trial)
    oracle.save()
