"""search: trials of hyperparameters, in this process or in many, each on disk as soon as it has ended."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tfkit.data import Data
from tfkit.errors import ParameterError, SearchError
from tfkit.interrupt import Terminated, heard_interrupts
from tfkit.parameters import Ge, Gt, check
from tfkit.pipeline.checkpoints import Checkpoints, best_trial, goal_of
from tfkit.pipeline.chief import Budget, Chief, Event, seed_of
from tfkit.pipeline.earlier import Earlier, inform, origin
from tfkit.pipeline.folds import digest, folds
from tfkit.pipeline.lock import locked
from tfkit.pipeline.runners.choice import Workers, runner_for
from tfkit.pipeline.runners.processes import clear
from tfkit.pipeline.runners.protocol import Runner
from tfkit.pipeline.search_folder import read_search_facts, write_search_facts
from tfkit.pipeline.search_oracle import check_oracle, oracle_for
from tfkit.pipeline.search_result import SearchResult, model_loader, trial_result, unmet
from tfkit.pipeline.space import Build, explore
from tfkit.pipeline.trials import Callbacks, Job, copied_callbacks
from tfkit.progress import say, task
from tfkit.recipe import Step

if TYPE_CHECKING:
    import keras_tuner

_LOCK = "search.lock"


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    trials: Annotated[int | None, Gt(0), "Trials in all."] = 10
    epochs: Annotated[int, Gt(0), "Epochs of a trial."] = 1
    seed: Annotated[int | None, Ge(0), "Seed."] = 0
    time_budget: Annotated[float | None, Gt(0), "Seconds."] = None
    target: Annotated[float | None, "Score at which the search ends."] = None
    keep: Annotated[int, Gt(0), "Trials whose weights are kept."] = 1
    trial_timeout: Annotated[float | None, Gt(0), "Seconds of a trial."] = None


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
    target: float | None = None,
    enqueue: Sequence[Mapping[str, Any]] = (),
    keep: int = 1,
    trial_timeout: float | None = None,
    callbacks: Callbacks = (),
    progress: Callable[[Event], None] | None = None,
    workers: Workers = 1,
    cross_validation: Any = None,
    stop_early: Step | None = None,
    constraints: Mapping[str, Any] | None = None,
    warm_start: Earlier | None = None,
) -> SearchResult:
    """Searches hyperparameters: builds and trains a model for each trial, and keeps the best.

    Every trial is on disk before the next begins. A search that was killed, called again with the same
    arguments, ends with the trials that it would have had: those that were interrupted run again with
    the same values and the same random seed. A search that is finished, called again with more `trials`,
    runs the difference. A trial that fails is kept with its traceback, and the search goes on.

    With more than one worker, trials run in processes of their own. This one alone writes the directory. A trial
    whose worker dies or hangs is run again by another one, and has failed where that happens three times. A worker
    that takes more than its share of the memory, or longer than `trial_timeout`, is stopped, and its trial has failed.

    Args:
        build: Function of KerasTuner's `hp` that returns a compiled Keras model.
        data: The train part is trained on, the validation part gives the figures named "val_…".
        searcher: A searcher plugin: name or (name, params).
        objective: What is optimized, as Keras logs it, such as "val_accuracy": the best epoch counts. Where the
            name does not say whether it is to be large or small: ("val_x", "max"), or a `keras_tuner.Objective`.
            Or a list of these, such as ["val_accuracy", "litert_bytes"]: the first that Keras logs leads, which means
            that it says which epoch counts, which trial is best, and what the score is; `.front` holds the trials that
            no other one beats. After its training a model is measured where a name asks for it: "parameters", "flops",
            "bytes" and "latency_ms" of the Keras model, "litert_bytes" and "litert_latency_ms" of its LiteRT file.
        trials: Trials in all, those of earlier calls included; None goes on until the searcher has tried everything.
        epochs: Epochs of a trial.
        directory: Where the search is kept; None for a temporary folder, which goes with the result.
        seed: Seed of the search and of each trial's training; None draws one and stores it. The seeds of Python,
            numpy and TensorFlow are set.
        time_budget: Seconds, of this call, after which no trial begins. A trial that runs then is stopped and comes
            first in the next call; but not before one trial was completed.
        target: Score at which the search ends; trials that run then come first in the next call.
        enqueue: Values to try first, each a dict by hyperparameter; those left out take their defaults.
        keep: Of how many trials, the best ones, the weights are kept for `.load`. With several objectives those of
            the front are kept too.
        trial_timeout: Seconds that a trial may take; in this process it ends at the next batch.
        callbacks: Keras callbacks of each fit, copied for each trial; or a function that makes them. Those with a
            method `watch` are given a function that returns the other trials' histories: {id: {metric: values}}.
        progress: Called with dicts: {"event": "begin" or "epoch" or "end" or "lost", "trial": id, …}.
        workers: How many trials run at once: 1 in this process, more in child processes, which share one copy of
            the data in memory and the cores evenly; ("processes", {"count": 4, "memory": bytes of each,
            "heartbeat": seconds}) says more: one that is not heard of for two heartbeats is taken for dead. On a
            Ray cluster: "ray", an address such as "ray://host:10001", or ("ray", {"address": …, "count": …}).
        cross_validation: A number of folds, or one of scikit-learn's splitters: each trial is trained on every fold of
            the train part, and its score is the mean over the folds after the epoch that is best by it. The
            validation part is not used. `.best_model` is then trained on the whole train part when asked for.
        stop_early: A callback plugin that ends trials which do worse than the others: "asha", "median-stopping", or
            (name, params). It watches the objective unless told otherwise; a cross-validation's first fold.
        constraints: Bounds by name, of what Keras logs or of a figure as in `objective`: the most, or ("<=", number) or
            (">=", number). A trial that exceeds one is completed, but not feasible: it is neither best nor on the
            front, and the searcher keeps away from there. Where "parameters" or "flops" are beyond their bound before
            training, the model is not trained, and the trial has no score. Where no trial keeps to the bounds, the
            best one is that which exceeds them the least, in sum, as shares of the bounds.
        warm_start: An earlier search for the same objectives, its directory or its result. The completed trials whose
            values this space holds are known to "bayesian" and "genetic" as if they were of this search, and count as
            none of its own; other searchers try the best five of them again. It is read once, when the search begins:
            one that goes on does not need it.

    Returns:
        The trials, `.best_values`, `.front`, and `.best_model` with the weights of the best epoch.

    Raises:
        ModelError: With the defaults, `build` raises or returns no compiled model.
        ParameterError: An argument out of its bounds, an objective that no metric has, or something that cannot
            be sent to a worker.
        SearchError: The directory is of another search, or of one that began without `warm_start`; or too many trials
            in a row have failed.
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
    given = {"trials": trials, "epochs": epochs, "seed": seed, "time_budget": time_budget}
    given |= {"target": target, "keep": keep, "trial_timeout": trial_timeout}
    numbers = check(_Numbers, given, owner="search")
    budget = _budget(begun, **numbers)
    _check_given(build, data)
    choose = runner_for(workers)
    copied_callbacks(callbacks)
    oracle = oracle_for(searcher, objective, constraints, budget.trials, explore(build), numbers["seed"])
    goal = goal_of(oracle)
    job = Job(build, data, callbacks, oracle.objective, stop_early, folds(data, cross_validation), goal.constraints)
    check_oracle(oracle, cross_validation=cross_validation, stop_early=stop_early, warm_start=warm_start)
    with contextlib.ExitStack() as undo:
        folder = Path(directory) if directory is not None else _temporary(undo)
        with locked(folder, _LOCK), _opened(oracle, folder, enqueue, warm_start):
            facts = {"searcher": searcher, "trials": budget.trials, "epochs": budget.epochs}
            _write_facts(folder, oracle, job, **facts, warm_start=origin(folder, warm_start))
            checkpoints = Checkpoints(oracle, folder, numbers["keep"])
            with contextlib.closing(choose(job, folder)) as runner:
                stopped = _run(oracle, runner, checkpoints, budget, progress or (lambda event: None))
            result = _result(oracle, job, folder, stopped)
        # From here on a temporary folder lives as long as the result.
        weakref.finalize(result, undo.pop_all().close)
    return result


def _budget(begun: float, *, time_budget: float | None, seed: int | None, keep: int, **numbers: Any) -> Budget:
    return Budget(ends=begun + (float("inf") if time_budget is None else time_budget), **numbers)


def _check_given(build: Build, data: Data) -> None:
    if not callable(build):
        raise ParameterError(f"search needs build, a function of hp that returns a compiled Keras model; got {build!r}")
    if not isinstance(data, Data):
        raise ParameterError(f"search needs data, a tfkit.Data; got {type(data).__name__}")


def _temporary(undo: contextlib.ExitStack) -> Path:
    folder = tempfile.mkdtemp(prefix="tfkit-search-")
    undo.callback(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextlib.contextmanager
def _opened(
    oracle: keras_tuner.Oracle, folder: Path, enqueue: Sequence[Mapping[str, Any]], warm_start: Earlier | None
) -> Iterator[None]:
    """Has the oracle go on in a folder; closes its files at the end, where it knows how to."""
    clear(folder)
    whole = folder.resolve()
    oracle._set_project_dir(str(whole.parent), whole.name)
    try:
        if any(path.name != _LOCK for path in folder.iterdir()):
            oracle.reload()
        _enqueue(oracle, enqueue)
        if warm_start is not None:
            inform(oracle, warm_start, folder)
        yield
    finally:
        if hasattr(oracle, "close"):
            oracle.close()


def _write_facts(folder: Path, oracle: keras_tuner.Oracle, job: Job, **facts: Any) -> None:
    """Writes down what the search was called with; scores over other folds cannot be compared."""
    splits = digest(job.folds) if job.folds else None
    if splits != read_search_facts(folder).get("folds") and best_trial(oracle) is not None:
        raise SearchError(
            f"{folder} was searched over other folds: go on with its data and cross_validation (a splitter that "
            "shuffles needs a random_state), or search in another directory"
        )
    write_search_facts(folder, **facts, folds=splits)


def _enqueue(oracle: keras_tuner.Oracle, values: Sequence[Mapping[str, Any]]) -> None:
    if values and not hasattr(oracle, "enqueue"):
        raise ParameterError(f"the searcher {type(oracle).__name__} takes no values to try first: leave out enqueue")
    for each in values:
        oracle.enqueue(each)


def _run(
    oracle: keras_tuner.Oracle,
    runner: Runner,
    checkpoints: Checkpoints,
    budget: Budget,
    progress: Callable[[Event], None],
) -> str:
    """Runs trials until there are enough; returns why it stopped."""
    with task("search", total=budget.trials) as advance, heard_interrupts():
        for _ in oracle.end_order:
            advance("")
        chief = Chief(oracle, runner, checkpoints, budget, progress, advance)
        try:
            return chief.run()
        except (KeyboardInterrupt, Terminated):
            say(f"search: interrupted; trials that come first in the next call: {', '.join(chief.running) or 'none'}")
            raise


def _result(oracle: keras_tuner.Oracle, job: Job, folder: Path, stopped: str) -> SearchResult:
    ended = set(oracle.end_order)
    trials = {each: oracle.trials[each] for each in oracle.start_order if each in ended}
    goal = goal_of(oracle)
    found = tuple(trial_result(trial, goal) for trial in trials.values())
    if missed := unmet(found, goal):
        say(f"search: none of {len(found)} trials keeps to {missed}")
    return SearchResult(
        trials=found,
        goal=goal,
        directory=folder,
        stopped=stopped,
        _load=model_loader(job, folder, trials, {each: seed_of(oracle, trial) for each, trial in trials.items()}),
    )
