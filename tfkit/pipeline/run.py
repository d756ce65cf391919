"""run: every stage of a recipe, each on disk before the next begins."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from tfkit.errors import PluginNotFound, TfkitError
from tfkit.interrupt import Terminated, heard_interrupts
from tfkit.parameters import check
from tfkit.pipeline.context import Context
from tfkit.pipeline.evaluate import metric_makers
from tfkit.pipeline.fit import callbacks
from tfkit.pipeline.folder import RunFolder, now, open_run
from tfkit.pipeline.lock import locked
from tfkit.pipeline.recipe_parts import late_parts
from tfkit.pipeline.search_oracle import check_earlier, check_search
from tfkit.pipeline.session import clear_session, quiet_tensorflow
from tfkit.pipeline.stages import STAGES
from tfkit.pipeline.steps import AUTO
from tfkit.pipeline.table import as_text
from tfkit.pipeline.team import follow, join
from tfkit.progress import say, task
from tfkit.recipe import Recipe, step_name
from tfkit.registry import installed, resolve

# What an automatic compression may take in a smoke run.
_SMOKE_SECONDS = 25.0


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        directory: Its folder.
        stages: Its stages: name, status, started, finished, metrics.
        report: The path of report.html.
        table: A row for the float model and for each compressed one, with metrics on the test part.
    """

    directory: Path
    stages: list[dict[str, Any]]
    report: Path
    table: list[dict[str, Any]]


def run(recipe: Recipe, directory: str | Path = "runs", resume: bool = True, smoke: bool = False) -> RunResult:
    """Runs a recipe: baseline, search, train, evaluate, compress, export, report.

    Each stage's result is on disk before the next begins. A run that was interrupted, by Ctrl-C or by
    kill -9, goes on in the same folder, with the stage it was in; a recipe that has changed since
    begins a new one. Ends by printing the table and the path of the report.

    Where TF_CONFIG names several workers, as `tfkit launch` and clusters set it, each of them calls this: they train
    together, and the first does all other stages and writes the run's folder. The training keeps a backup there.

    Args:
        recipe: The recipe.
        directory: Runs are kept in `<directory>/<recipe>/<id>/`.
        resume: False begins a new run in any case.
        smoke: Few rows, two epochs, two trials: shows in under a minute that everything works.

    Returns:
        The folder, the stages and the report.

    Raises:
        TfkitError: A plugin or parameter that is wrong is told before anything is trained.
        RunError: The directory cannot be written, or another process is at work in the run.
    """
    recipe = _smoke(recipe) if smoke else recipe
    team = join(recipe)
    check_plugins(recipe)
    if team is not None and not team.is_chief:
        return _result(follow(recipe, team, smoke))
    folder, earlier = open_run(Path(directory), recipe.name, fingerprint(recipe, smoke), resume=resume)
    with locked(folder.path, ".lock"):
        if earlier:
            done = ", ".join(stage["name"] for stage in folder.state["stages"]) or "nothing"
            say(f"{folder.path}: going on; finished: {done} (--fresh starts over)")
        if recipe.search is not None and not (folder.path / "search").exists():
            check_earlier(recipe.search)
        _run_stages(Context(recipe, folder, smoke, team))
        told = {"directory": folder.path, "stages": folder.state["stages"], "table": _table(folder)}
        if team is not None:
            team.tell(told)
    result = _result(told)
    print(as_text(result.table))
    print(f"report: {result.report}")
    return result


def check_plugins(recipe: Recipe) -> None:
    """Checks every plugin and parameter a recipe names, and that what each needs is installed.

    Raises:
        PluginNotFound: No such plugin, or a package is missing; the text says what to install.
        ParameterError: A parameter is wrong.
    """
    metric_makers(recipe.metrics)
    callbacks(recipe.train)
    if recipe.search is not None:
        check_search(recipe.search)
    for kind, step in late_parts(recipe):
        name, params = step_name(step)
        plugin = installed().get(kind, name)
        assert plugin.spec is not None
        check(plugin.spec.params, params, owner=f"{kind} {name!r} of recipe {recipe.name!r}")
        resolve(plugin)
    missing = [package for package in ("jinja2", "matplotlib") if importlib.util.find_spec(package) is None]
    if missing:
        raise PluginNotFound(f"the report needs {' and '.join(missing)}: pip install 'tfkit-keras[report]'")


def fingerprint(recipe: Recipe, smoke: bool) -> str:
    """What decides whether a run may go on: the sections, and the text of the file the recipe is written in."""
    parts = {each.name: _plain(getattr(recipe, each.name)) for each in fields(recipe)}
    files = {inspect.getsourcefile(function) for function in (recipe.data, recipe.model)}
    text = [
        Path(file).read_bytes().decode(errors="replace") for file in sorted(filter(None, files)) if Path(file).exists()
    ]
    return hashlib.sha256(json.dumps([parts, text, smoke], sort_keys=True, default=str).encode()).hexdigest()


def _run_stages(context: Context) -> None:
    folder = context.folder
    wanted = [(name, stage) for name, stage in STAGES if getattr(context.recipe, name, ...) is not None]
    name = wanted[0][0]
    folder.set_status("running")
    try:
        with (
            heard_interrupts(),
            quiet_tensorflow(),
            task(f"recipe {context.recipe.name}", total=len(wanted)) as advance,
        ):
            for name, stage in wanted:
                if folder.finished(name) is None:
                    _run_stage(context, name, stage)
                advance("")
    except (KeyboardInterrupt, Terminated):
        folder.set_status("interrupted")
        say(f"interrupted in stage {name}; what is finished is kept in {folder.path}: run again to go on")
        raise
    except BaseException as error:
        folder.write({**folder.state, "status": "failed", "error": f"{name}: {type(error).__name__}: {error}"})
        if isinstance(error, TfkitError):
            error.args = (f"stage {name}: {error}", *error.args[1:])
        raise
    folder.write({key: value for key, value in folder.state.items() if key != "error"} | {"status": "finished"})


def _run_stage(context: Context, name: str, stage: Any) -> None:
    import keras

    started, begin = now(), time.monotonic()
    # Each stage begins alike, whether those before it ran in this process or in one that was killed.
    clear_session()
    keras.utils.set_random_seed(context.recipe.seed)
    metrics = stage(context)
    context.folder.finish(name, started, metrics)
    say(f"{name}: {time.monotonic() - begin:.1f} s")


def _result(told: dict[str, Any]) -> RunResult:
    directory = Path(told["directory"])
    return RunResult(directory, told["stages"], directory / "report.html", told["table"])


def _table(folder: RunFolder) -> list[dict[str, Any]]:
    return list(json.loads((folder.path / "table.json").read_text()))


def _smoke(recipe: Recipe) -> Recipe:
    """The recipe with two epochs and two trials."""
    limits: dict[str, dict[str, float]] = {
        "train": {"epochs": 2},
        "search": {"epochs": 1, "trials": 2},
        "compress": {"epochs": 1},
    }
    if recipe.compress is not None and recipe.compress.steps == AUTO:
        limits["compress"]["time_budget"] = _SMOKE_SECONDS
    changed = {}
    for name, bounds in limits.items():
        section = getattr(recipe, name)
        if section is not None:
            given = {key: getattr(section, key) for key in bounds}
            smaller = {key: most if given[key] is None else min(given[key], most) for key, most in bounds.items()}
            changed[name] = replace(section, **smaller)
    return replace(recipe, **changed)


def _plain(value: Any) -> Any:
    """A value without addresses, so that equal recipes read equal."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
