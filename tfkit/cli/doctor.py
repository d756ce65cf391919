"""`tfkit doctor RUN`."""

from __future__ import annotations

import click

from tfkit.cli.options import as_json, echo_json, existing


@click.command()
@click.argument("directory", metavar="RUN")
@as_json
def doctor(directory: str, as_json: bool) -> None:
    """Print what is wrong with the training of a run, worst first, with the figures behind it and what to try."""
    from tfkit.pipeline.diagnosis import findings_in

    found = findings_in(existing(directory))
    if as_json:
        echo_json(found)
        return
    for each in found:
        click.echo(f"{each['fault']}: {each['evidence']}\n  try: {each['advice']}")
    if not found:
        click.echo("nothing is wrong that can be seen")
