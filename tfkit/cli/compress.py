"""`tfkit compress MODEL --data RECIPE.py`."""

from __future__ import annotations

from pathlib import Path

import click

from tfkit.cli.options import as_json, echo_json, existing, model_argument, open_recipe, parse_steps, recipe_data


@click.command()
@model_argument
@recipe_data
@click.option("--steps", default="quantize", show_default=True, help="Such as 'prune(sparsity=0.5),quantize'.")
@click.option("--max-drop", type=float, help="Largest loss of the metric on the validation part.")
@click.option("--epochs", default=1, show_default=True, help="Epochs of fine-tuning in each step.")
@click.option("--output", metavar="D", help="Where artifacts go; default: compressed/ beside the model.")
@as_json
def compress(
    model: str, recipe: str, steps: str, max_drop: float | None, epochs: int, output: str | None, as_json: bool
) -> None:
    """Compress a model by steps, each measured; a step that loses too much is undone."""
    from tfkit.models import load_model
    from tfkit.pipeline.compress import compress as compress_model

    path = existing(model)
    opened = open_recipe(recipe)
    directory = Path(output) if output else path.parent / "compressed"
    result = compress_model(
        load_model(path),
        parse_steps(steps),
        opened.data(),
        metric=opened.metrics[0],
        max_drop=max_drop,
        epochs=epochs,
        directory=directory,
    )
    if as_json:
        echo_json(result.table)
        return
    for row in result.table:
        kept = "" if row["kept"] else "  undone"
        click.echo(
            f"{row['step']:<12} {row['metric']:.4f}  {row['bytes']:>9} bytes  {row['latency_p50_ms']:.3f} ms{kept}"
        )
    for kind, artifact in result.artifacts.items():
        click.echo(f"{kind}: {artifact}")
