"""`tfkit search show|best|export DIRECTORY`: looking at a search, also while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfkit.cli.options import as_json, echo_json, open_recipe

if TYPE_CHECKING:
    from tfkit.pipeline.search_folder import SearchFolder
    from tfkit.pipeline.search_result import TrialResult

_directory = click.argument("directory", type=click.Path())


@click.group()
def search() -> None:
    """Show the trials of a search, its best values, and export its best model."""


@search.command()
@_directory
@as_json
def show(directory: str, as_json: bool) -> None:
    """Show all trials, the best first; failures with what made them fail."""
    found = _opened(directory)
    if as_json:
        echo_json(_plain(found))
        return
    for line in _table(found):
        click.echo(line.rstrip())
    click.echo(_summary(found))


@search.command()
@_directory
@as_json
def best(directory: str, as_json: bool) -> None:
    """Show the values and the score of the best trial, and where its weights are."""
    found = _opened(directory)
    trial, values = found.best, found.best_values
    weights = found.weights(trial)
    if as_json:
        echo_json({"trial": trial.id, "score": trial.score, "values": values, "weights": weights})
        return
    for name, value in {**values, found.objective: trial.score}.items():
        click.echo(f"{name} = {_shown(value)}")
    click.echo(f"trial {trial.id}, " + (f"weights: {weights}" if weights else "whose weights were not kept"))
    if found.unmet:
        click.echo(found.unmet)


@search.command()
@_directory
@click.option("--build", "recipe", metavar="RECIPE.py", help="A recipe whose model(hp) builds the model.")
@click.option("--output", metavar="FILE", help="Where it goes; default: best.keras or best.json in DIRECTORY.")
@click.option("--hparams", metavar="LOGDIR", help="Write all trials for TensorBoard's HParams page instead.")
def export(directory: str, recipe: str | None, output: str | None, hparams: str | None) -> None:
    """Write the best trial's model as .keras; without --build its values as JSON."""
    found = _opened(directory)
    if hparams is not None:
        if recipe or output:
            raise click.UsageError("--hparams writes all trials: leave --build and --output out")
        click.echo(f"{_hparams(found, hparams)} trials: tensorboard --logdir {hparams}")
    elif recipe is not None:
        click.echo(_model(found, recipe, Path(output or found.path / "best.keras")))
    else:
        click.echo(_values(found, Path(output or found.path / "best.json")))


def _opened(directory: str) -> SearchFolder:
    from tfkit.pipeline.search_folder import open_search

    return open_search(directory)


def _hparams(found: SearchFolder, logdir: str) -> int:
    from tfkit.pipeline.hparams_log import write_hparams

    return write_hparams(found, logdir)


def _model(found: SearchFolder, script: str, output: Path) -> Path:
    from tfkit.pipeline.search_model import best_model

    if output.suffix != ".keras":
        raise click.UsageError(f"--output of a model ends in .keras; got {str(output)!r}")
    recipe = open_recipe(script)
    model = best_model(found, recipe.model, recipe.data())
    aside = output.with_name(f".{output.stem}.new.keras")
    model.save(aside)
    return aside.replace(output)


def _values(found: SearchFolder, output: Path) -> Path:
    from tfkit.pipeline.folder import write_json

    write_json(output, found.best_values)
    return output


def _plain(found: SearchFolder) -> dict[str, Any]:
    completed = found.completed
    return {
        "directory": found.path,
        "objective": found.objective,
        "minimize": found.minimize,
        "objectives": dict(found.objectives),
        "constraints": [str(each) for each in found.constraints],
        "seed": found.seed,
        "counts": found.counts,
        **{name: found.about[name] for name in ("searcher", "parameters", "trials", "epochs") if name in found.about},
        "best": completed[0].id if completed else None,
        "front": [trial.id for trial in found.front],
        "rows": [_row(trial) for trial in found.ranked],
    }


def _row(trial: TrialResult) -> dict[str, Any]:
    row = {"trial": trial.id, "status": trial.status, "score": trial.score, "values": trial.values}
    row["feasible"] = trial.feasible
    return {**row, "metrics": trial.metrics, "error": trial.error}


def _table(found: SearchFolder) -> list[str]:
    """A line for each trial, below a heading."""
    from tfkit.pipeline.search_folder import last_line

    names = list(dict.fromkeys(name for trial in found.trials for name in trial.values))
    others = [name for name in found.goal.names if name != found.objective]
    rows = [["trial", found.objective, *others, "status", *names]]
    states = found.states
    for trial in found.ranked:
        values = [_shown(trial.values[name]) if name in trial.values else "" for name in names]
        figures = [trial.score, *(trial.metrics.get(name) for name in others)]
        shown = ["–" if figure is None else _shown(figure) for figure in figures]
        rows.append([trial.id, *shown, states[trial.id], *values])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    errors = [last_line(trial) for trial in found.ranked]
    return [lines[0], *(f"{line}  {error[:200]}" for line, error in zip(lines[1:], errors))]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths))


def _summary(found: SearchFolder) -> str:
    counts = ", ".join(f"{number} {status}" for status, number in found.counts.items())
    total = found.about.get("trials")
    number = f"{len(found.trials)} of {total}" if total else len(found.trials)
    words = [f"{number} trials ({counts})" if counts else "no trials yet"]
    if found.completed:
        words.append(f"best {found.objective} {_shown(found.best.score)}, trial {found.best.id}")
    told = ": ".join(words)
    if found.unmet:
        return f"{told}\n{found.unmet}"
    front = f"\nfront: {', '.join(trial.id for trial in found.front)}" if len(found.objectives) > 1 else ""
    return told + front


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
