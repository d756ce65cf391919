"""`tfkit measure MODEL --data RECIPE.py`."""

from __future__ import annotations

import click

from tfkit.cli.options import as_json, echo_json, echo_pairs, existing, model_argument, open_recipe, recipe_data


@click.command()
@model_argument
@recipe_data
@click.option("--batch", default=1, show_default=True, help="Rows in one call.")
@click.option("--repeats", default=200, show_default=True, help="Calls that are timed.")
@as_json
def measure(model: str, recipe: str, batch: int, repeats: int, as_json: bool) -> None:
    """Parameters, bytes, gzipped bytes and latency of a .keras, a SavedModel folder or a .tflite."""
    from tfkit.measurement import measure as measure_model

    sample = open_recipe(recipe).data().sample(batch)
    found = measure_model(existing(model), sample, batch=batch, repeats=repeats).as_dict()
    (echo_json if as_json else echo_pairs)(found)
