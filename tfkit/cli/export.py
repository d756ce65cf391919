"""`tfkit export MODEL DIRECTORY` and `tfkit export verify DIRECTORY`."""

from __future__ import annotations

import click

from tfkit.cli.options import existing


@click.command()
@click.argument("model")
@click.argument("directory")
@click.option(
    "--format", "format_", default="saved-model", show_default=True, metavar="F", help="Name of the exporter."
)
@click.option("--version", type=int, help="Version number; default: the highest + 1.")
@click.option("--data", "recipe", metavar="RECIPE.py", help="A recipe whose rows verify and warm up the export.")
def export(model: str, directory: str, format_: str, version: int | None, recipe: str | None) -> None:
    """Export MODEL as DIRECTORY/<version>, verified; or check a version folder: tfkit export verify DIRECTORY."""
    if model == "verify":
        _verify(directory)
        return
    from tfkit.cli.options import open_recipe
    from tfkit.pipeline.export import export as export_model

    sample = open_recipe(recipe).data().sample(256) if recipe else None
    made = export_model(existing(model), directory, format=format_, version=version, sample=sample)
    click.echo(f"{made.path} (version {made.version}, verified)")


def _verify(directory: str) -> None:
    from tfkit.pipeline.export import verify

    verify(existing(directory))
    click.echo(f"{directory} is complete, unchanged and runs")
