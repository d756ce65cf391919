"""`tfkit launch --workers N RECIPE.py`."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--workers", type=click.IntRange(min=1), required=True, metavar="N", help="Number of processes.")
@click.option(
    "--restarts",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="How often all are begun again when one dies.",
)
@click.argument("script", metavar="RECIPE.py")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def launch(debug: bool, workers: int, restarts: int, script: str, arguments: tuple[str, ...]) -> int:
    """Run a script in N processes that train together (strategy multi-worker), its arguments after its name.

    When one dies all are begun again; a recipe goes on where it was.
    """
    from tfkit.pipeline.launch import launch as launch_script

    return launch_script(script, (*arguments, *["--debug"] * bool(debug)), workers=workers, restarts=restarts)
