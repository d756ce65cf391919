"""`tfkit report RUN…`."""

from __future__ import annotations

import json

import click

from tfkit.cli.options import existing


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
def report(runs: tuple[str, ...]) -> None:
    """Print the table of finished runs and write their reports again, from the files of the runs."""
    from tfkit.errors import ModelError
    from tfkit.pipeline.folder import RunFolder
    from tfkit.pipeline.report import write_report
    from tfkit.pipeline.table import as_text

    for each in runs:
        folder = RunFolder(existing(each))
        if folder.finished("report") is None:
            raise ModelError(f"{each} has no report yet: its status is {folder.state['status']}; run its recipe again")
        click.echo(as_text(json.loads((folder.path / "table.json").read_text())))
        click.echo(f"report: {write_report(folder.path)}")
