"""`tfkit evaluate MODEL --data RECIPE.py`."""

from __future__ import annotations

import click

from tfkit.cli.options import (
    as_json,
    echo_json,
    echo_pairs,
    existing,
    model_argument,
    open_recipe,
    parse_steps,
    recipe_data,
)


@click.command()
@model_argument
@recipe_data
@click.option("--metrics", help="Metric plugins, such as 'f1(average=macro),accuracy'; default: the recipe's.")
@click.option("--confidence", type=float, help="Level of a bootstrap interval, such as 0.95.")
@as_json
def evaluate(model: str, recipe: str, metrics: str | None, confidence: float | None, as_json: bool) -> None:
    """Metrics of a model file on the test part (else validation) of a recipe's data."""
    from dataclasses import asdict, is_dataclass

    from tfkit.pipeline.evaluate import evaluate as evaluate_model

    opened = open_recipe(recipe)
    wanted = parse_steps(metrics) if metrics else opened.metrics
    found = evaluate_model(existing(model), opened.data(), wanted, confidence=confidence)
    if as_json:
        echo_json({name: asdict(value) if is_dataclass(value) else value for name, value in found.items()})  # type: ignore[arg-type]
        return
    echo_pairs(found)
