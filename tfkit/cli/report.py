"""`tfkit report RUN…`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tfkit.cli.options import existing


@click.command()
@click.argument("directories", nargs=-1, required=True, metavar="DIRECTORY…")
def report(directories: tuple[str, ...]) -> None:
    """Write report.html of finished runs, and of searches, again from their files; print the table of a run."""
    for each in directories:
        folder = existing(each)
        page = _of_search(folder) if _is_search(folder) else _of_run(folder)
        click.echo(f"report: {page}")


def _is_search(folder: Path) -> bool:
    from tfkit.pipeline.search_folder import FILE

    return (folder / FILE).exists()


def _of_search(directory: Path) -> Path:
    from tfkit.pipeline.search_folder import open_search
    from tfkit.pipeline.search_report import write_search_report

    return write_search_report(open_search(directory))


def _of_run(directory: Path) -> Path:
    from tfkit.errors import ModelError
    from tfkit.pipeline.folder import RunFolder
    from tfkit.pipeline.report import write_report
    from tfkit.pipeline.table import as_text

    folder = RunFolder(directory)
    if folder.finished("report") is None:
        raise ModelError(f"{directory} has no report yet: its status is {folder.state['status']}; run its recipe again")
    click.echo(as_text(json.loads((folder.path / "table.json").read_text())))
    return write_report(folder.path)
