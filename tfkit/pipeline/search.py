"""search: the trials of a search one after another in this process, each on disk before the next begins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tfkit.data import Data
from tfkit.errors import ParameterError
from tfkit.factory import create
from tfkit.parameters import Ge, Gt, check
from tfkit.pipeline.lock import locked
from tfkit.pipeline.search_result import SearchResult, model_loader, trial_result
from tfkit.pipeline.space import Build, explore
from tfkit.pipeline.trials import (
    Event,
    Job,
    best_trial,
    copied_callbacks,
    keep_best,
    run_trial,
)
from tfkit.progress import Advance, say, task
from tfkit.recipe import Step, step_name

if TYPE_CHECKING:
    import keras_tuner
    from keras_tuner.engine.trial import Trial

_LOCK = "search.lock"


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    trials: Annotated[int | None, Gt(0), "Trials in all."] = 10
    epochs: Annotated[int, Gt(0), "Epochs of a trial."] = 1
    seed: Annotated[int | None, Ge(0), "Seed."] = 0
    time_budget: Annotated[float | None, Gt(0), "Seconds."] = None


def search(
    build: Build,
    data: Data,
    *,
    searcher: Step = "bayesian",
    objective: Any,
    trials: int | None = 10,
    epochs: int = 1,
    directory: str | Path | None = None,
    seed: int | None = 0,
    time_budget: float | None = None,
    callbacks: Sequence[Any] | Callable[[], Sequence[Any]] = (),
    progress: Callable[[Event], None] | None = None,
    workers: int = 1,
    cross_validation: None = None,
    stop_early: None = None,
) -> SearchResult:
    """Searches hyperparameters: builds and trains a model for each trial, and keeps the best.

    Every trial is on disk before the next begins. A search that was killed, called again with the same
    arguments, ends with the trials that it would have had: the one that was interrupted runs again with
    the same values and the same random seed. A search that is finished, called again with more `trials`,
    runs the difference. A trial that fails is kept with its traceback, and the search goes on.

    Args:
        build: Function of KerasTuner's `hp` that returns a compiled Keras model.
        data: The train part is trained on, the validation part gives the figures named "val_…".
        searcher: A searcher plugin: name or (name, params).
        objective: What is optimized, as Keras logs it, such as "val_accuracy": the best epoch counts. Where the
            name does not say whether it is to be large or small: ("val_x", "max"), or a `keras_tuner.Objective`.
        trials: Trials in all, those of earlier calls included; None goes on until the searcher has tried everything.
        epochs: Epochs of a trial.
        directory: Where the search is kept; None for a temporary folder, which goes with the result.
        seed: Seed of the search and of each trial's training; None draws one and stores it. The seeds of Python,
            numpy and TensorFlow are set.
        time_budget: Seconds, of this call, after which no trial begins. A trial that runs then is stopped and comes
            first in the next call; but not before one trial was completed.
        callbacks: Keras callbacks of each fit, copied for each trial; or a function that makes them.
        progress: Called with dicts: {"event": "begin" or "epoch" or "end", "trial": id, …}.
        workers: Processes that run trials; more than this one are not built yet.
        cross_validation: Not built yet.
        stop_early: Not built yet.

    Returns:
        The trials, `.best_values`, and `.best_model` with the weights of the best epoch.

    Raises:
        ModelError: With the defaults, `build` raises or returns no compiled model.
        ParameterError: An argument out of its bounds, or an objective that no metric has.
        SearchError: The directory is of another search, or too many trials in a row have failed.
        RunError: Another process is at work in the directory, or it cannot be written.
        PluginNotFound: There is no such searcher.

    Example:
        >>> import keras, numpy as np, tfkit
        >>> def build(hp):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=hp.Boolean("bias"))])
        ...     model.compile("sgd", "mse", jit_compile=False)
        ...     return model
        >>> rows = (np.ones((8, 2)), np.ones(8))
        >>> result = tfkit.search(build, tfkit.Data(rows, rows), searcher="grid", objective="val_loss", trials=2)
        >>> [trial.values for trial in result.trials]
        [{'bias': False}, {'bias': True}]
    """
    begun = time.monotonic()
    _check_built(workers=workers, cross_validation=cross_validation, stop_early=stop_early)
    given = {"trials": trials, "epochs": epochs, "seed": seed, "time_budget": time_budget}
    numbers = check(_Numbers, given, owner="search")
    ends = begun + (float("inf") if time_budget is None else numbers["time_budget"])
    _check_given(build, data)
    oracle = _oracle(searcher, objective, numbers["trials"], explore(build), numbers["seed"])
    with contextlib.ExitStack() as undo:
        folder = Path(directory) if directory is not None else _temporary(undo)
        job = Job(build, data, numbers["epochs"], callbacks, folder, ends, progress or (lambda event: None))
        copied_callbacks(job)
        with locked(folder, _LOCK), _closed(oracle):
            result = _result(oracle, job, _run(oracle, job, numbers["trials"]))
        # From here on a temporary folder lives as long as the result.
        weakref.finalize(result, undo.pop_all().close)
    return result


def _check_built(*, workers: int, cross_validation: object, stop_early: object) -> None:
    wanted = {
        "workers": workers != 1,
        "cross_validation": cross_validation is not None,
        "stop_early": stop_early is not None,
    }
    for name in (name for name, asked in wanted.items() if asked):
        raise ParameterError(f"the parameter {name!r} of search is not built yet: leave it out")


def _check_given(build: Build, data: Data) -> None:
    if not callable(build):
        raise ParameterError(f"search needs build, a function of hp that returns a compiled Keras model; got {build!r}")
    if not isinstance(data, Data):
        raise ParameterError(f"search needs data, a tfkit.Data; got {type(data).__name__}")


def _oracle(searcher: Step, objective: Any, trials: int | None, space: Any, seed: int | None) -> keras_tuner.Oracle:
    import keras_tuner

    if isinstance(objective, tuple) and len(objective) == 2 and objective[1] in ("min", "max"):
        objective = keras_tuner.Objective(*objective)
    name, params = step_name(searcher)
    given = {"objective": objective, "max_trials": trials, "hyperparameters": space, "seed": seed, **params}
    oracle = create("searcher", name, **given)
    oracle.verbose = 0
    return oracle


def _temporary(undo: contextlib.ExitStack) -> Path:
    folder = tempfile.mkdtemp(prefix="tfkit-search-")
    undo.callback(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextlib.contextmanager
def _closed(oracle: keras_tuner.Oracle) -> Iterator[None]:
    """Closes the oracle's files at the end, where it knows how to."""
    try:
        yield
    finally:
        if hasattr(oracle, "close"):
            oracle.close()


def _run(oracle: keras_tuner.Oracle, job: Job, trials: int | None) -> str:
    """Runs trials until there are enough; returns why it stopped."""
    folder = job.directory.resolve()
    oracle._set_project_dir(str(folder.parent), folder.name)
    if any(path.name != _LOCK for path in folder.iterdir()):
        oracle.reload()
    keep_best(oracle, job.directory)
    with task("search", total=trials) as advance:
        for _ in oracle.end_order:
            advance("")
        while time.monotonic() < job.ends:
            trial = oracle.create_trial("tfkit")
            if trial.status != "RUNNING":
                return _exhausted(oracle, trials)
            if not _ran(oracle, trial, job, advance):
                break
    return _said(f"the time budget is spent after {len(oracle.end_order)} trials")


def _ran(oracle: keras_tuner.Oracle, trial: Trial, job: Job, advance: Advance) -> bool:
    """Runs a trial and tells of it; False where time ran out."""
    about = {"trial": trial.trial_id, "values": dict(trial.hyperparameters.values)}
    job.report({"event": "begin", **about})
    if not run_trial(oracle, trial, job):
        return False
    keep_best(oracle, job.directory)
    best = best_trial(oracle)
    score = None if best is None else best.score
    ended = oracle.trials[trial.trial_id]
    job.report({"event": "end", **about, "status": ended.status, "score": ended.score, "best_score": score})
    if ended.status != "INVALID":  # that one runs again
        advance("" if score is None else f"best {oracle.objective.name} {score:.4g}")
    return True


def _exhausted(oracle: keras_tuner.Oracle, trials: int | None) -> str:
    done = len(oracle.trials)
    if trials is not None and done >= trials:
        return f"all {done} trials have run"
    if not oracle.get_space().space:
        return _said(f"build(hp) asks for no hyperparameters: one trial is all there is; trials={trials}")
    return _said(f"every distinct set of values was tried, in {done} trials; trials={trials}")


def _said(reason: str) -> str:
    say(f"search: {reason}")
    return reason


def _result(oracle: keras_tuner.Oracle, job: Job, stopped: str) -> SearchResult:
    ended = set(oracle.end_order)
    trials = {each: oracle.trials[each] for each in oracle.start_order if each in ended}
    return SearchResult(
        trials=tuple(trial_result(trial) for trial in trials.values()),
        objective=oracle.objective.name,
        minimize=oracle.objective.direction == "min",
        directory=job.directory,
        stopped=stopped,
        _load=model_loader(job, trials),
    )
