"""`tfkit run RECIPE.py`."""

from __future__ import annotations

import click

from tfkit.cli.options import open_recipe, parse_value


@click.command()
@click.argument("recipe")
@click.option("--smoke", is_flag=True, help="Few rows and epochs, under a minute.")
@click.option(
    "--set", "overrides", multiple=True, metavar="section.key=value", help="Override a parameter; repeatable."
)
@click.option("--directory", default="runs", show_default=True, metavar="D", help="Where runs are kept.")
@click.option("--fresh", is_flag=True, help="Begin a new run, even where one could go on.")
def run(recipe: str, smoke: bool, overrides: tuple[str, ...], directory: str, fresh: bool) -> None:
    """Run a recipe, or go on with the run that was interrupted."""
    from tfkit.pipeline.run import run as run_recipe

    changed = open_recipe(recipe).with_overrides(_parsed(overrides))
    run_recipe(changed, directory, resume=not fresh, smoke=smoke)


def _parsed(overrides: tuple[str, ...]) -> dict[str, object]:
    pairs = [each.partition("=") for each in overrides]
    for (key, sign, _), text in zip(pairs, overrides):
        if not (key and sign):
            raise click.UsageError(f"--set takes section.key=value; got {text!r}")
    return {key: parse_value(value) for key, _, value in pairs}
