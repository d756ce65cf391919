"""`tfkit run RECIPE.py`, and the same options for a recipe script of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfkit.cli.options import open_recipe, parse_value

if TYPE_CHECKING:
    from tfkit.recipe import Recipe


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--fresh", is_flag=True, help="Begin a new run, even where one could go on."),
        click.option("--directory", default="runs", show_default=True, metavar="D", help="Where runs are kept."),
        click.option(
            "--set", "overrides", multiple=True, metavar="section.key=value", help="Override a parameter; repeatable."
        ),
        click.option("--smoke", is_flag=True, help="Few rows and epochs, under a minute."),
    ):
        function = option(function)
    return function


@click.command()
@click.argument("recipe")
@_options
def run(recipe: str, **options: Any) -> None:
    """Run a recipe, or go on with the run that was interrupted."""
    _run(open_recipe(recipe), **options)


def command(recipe: Recipe) -> click.Command:
    """The command of a recipe script that is the main program."""

    @click.command(Path(sys.argv[0]).name, help=f"Run the recipe {recipe.name}, or go on with an interrupted run.")
    @_options
    def script(**options: Any) -> None:
        _run(recipe, **options)

    return script


def _run(recipe: Recipe, *, smoke: bool, overrides: tuple[str, ...], directory: str, fresh: bool) -> None:
    from tfkit.pipeline.run import run as run_recipe

    run_recipe(recipe.with_overrides(_parsed(overrides)), directory, resume=not fresh, smoke=smoke)


def _parsed(overrides: tuple[str, ...]) -> dict[str, object]:
    pairs = [each.partition("=") for each in overrides]
    for (key, sign, _), text in zip(pairs, overrides):
        if not (key and sign):
            raise click.UsageError(f"--set takes section.key=value; got {text!r}")
    return {key: parse_value(value) for key, _, value in pairs}
