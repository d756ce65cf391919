"""`tfkit compress MODEL --data RECIPE.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tfkit.cli.options import as_json, echo_json, existing, model_argument, open_recipe, parse_steps, recipe_data

_STEPS = "quantize"
_INTERRUPTED = 130


@click.command()
@model_argument
@recipe_data
@click.option(
    "--steps", metavar="a,b", help=f"Such as 'prune(sparsity=0.5),distill(teacher=source),quantize'; default: {_STEPS}."
)
@click.option("--auto", is_flag=True, help="Search steps and strengths instead.")
@click.option("--max-drop", type=float, help="Largest loss of the metric on the validation part; --auto: 0.01.")
@click.option(
    "--target",
    type=click.Choice(["size", "latency"]),
    default="size",
    show_default=True,
    help="What --auto makes small.",
)
@click.option("--time-budget", type=float, metavar="SECONDS", help="Time of the whole; --auto: 600.")
@click.option("--epochs", default=1, show_default=True, help="Epochs of fine-tuning in each step.")
@click.option("--output", metavar="D", help="Where artifacts go; default: compressed/ beside the model.")
@as_json
def compress(
    model: str,
    recipe: str,
    steps: str | None,
    auto: bool,
    max_drop: float | None,
    target: str,
    time_budget: float | None,
    epochs: int,
    output: str | None,
    as_json: bool,
) -> int:
    """Compress a model by steps, each measured; a step that loses too much is undone."""
    from tfkit.models import load_model
    from tfkit.pipeline.compress import compress as compress_model

    if auto and steps:
        raise click.UsageError("--auto searches the steps: leave --steps out")
    path = existing(model)
    opened = open_recipe(recipe)
    result = compress_model(
        load_model(path),
        "auto" if auto else parse_steps(steps or _STEPS),
        opened.data(),
        metric=opened.metrics[0],
        max_drop=max_drop,
        epochs=epochs,
        directory=Path(output) if output else path.parent / "compressed",
        target=target,  # type: ignore[arg-type]
        time_budget=time_budget,
    )
    if as_json:
        echo_json(_plain(result))
    else:
        _show(result)
    return _INTERRUPTED if result.interrupted else 0


def _plain(result: Any) -> Any:
    """The table; of an automatic search, that has more to tell, a dict."""
    if result.front is None:
        return result.table
    return {"table": result.table, "front": result.front, "artifacts": result.artifacts}


def _show(result: Any) -> None:
    width = max(len(row["step"]) for row in [*result.table, *(result.front or [])])
    for row in result.table:
        click.echo(_line(row, width) + ("" if row["kept"] else "  undone"))
    if result.front:
        click.echo("front:")
        for row in result.front:
            click.echo(_line(row, width) + ("" if row["kept"] else "  loses too much"))
    for kind, artifact in result.artifacts.items():
        click.echo(f"{kind}: {artifact}")


def _line(row: Mapping[str, Any], width: int) -> str:
    figures = f"{row['metric']:.4f}  {row['bytes']:>9} bytes  {row['latency_p50_ms']:.3f} ms"
    return f"{row['step']:<{width}}  {figures}" + (f"  test {row['test_metric']:.4f}" if "test_metric" in row else "")
