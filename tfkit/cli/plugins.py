"""`tfkit plugins`: list, show and check."""

from __future__ import annotations

import sys
from typing import Any

import click

from tfkit.cli.options import as_json
from tfkit.registry import Plugin, installed


@click.group()
def plugins() -> None:
    """List, show and check plugins."""


@plugins.command("list")
@click.option("--kind", metavar="K", help="Only this kind.")
@as_json
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List the plugins of all installed distributions, broken ones too."""
    rows = installed().select(kind)
    if as_json:
        _echo_json([row.as_dict() for row in rows])
        return
    widths = [max((len(getattr(row, name)) for row in rows), default=0) for name in ("kind", "name", "distribution")]
    for row in rows:
        click.echo(_line(row, widths))


@plugins.command()
@click.argument("kind")
@click.argument("name")
@as_json
def show(kind: str, name: str, as_json: bool) -> None:
    """Show a plugin's parameters and examples."""
    row = installed().get(kind, name)
    assert row.spec is not None
    if as_json:
        _echo_json({**row.as_dict(), "examples": list(row.spec.examples), "target": row.spec.target})
        return
    click.echo(f"{row.kind} {row.name}: {row.summary}\nfrom {row.distribution} {row.version}")
    for parameter in row.parameters:
        default = "required" if parameter["required"] else f"default {parameter['default']!r}"
        click.echo(f"  {parameter['name']}: {parameter['constraint']}, {default}. {parameter['doc']}")
    for example in row.spec.examples:
        arguments = "".join(f", {key}={value!r}" for key, value in example.items())
        click.echo(f"  tfkit.create({row.kind!r}, {row.name!r}{arguments})")


@plugins.command()
@click.argument("name", required=False)
def check(name: str | None) -> None:
    """Run the conformance kit on one plugin (NAME or KIND/NAME), or on all."""
    from tfkit import testing

    chosen = [row for row in installed().select() if row.spec and _chosen(row, name)]
    if name is not None and not chosen:
        raise click.UsageError(f"there is no plugin {name!r}; tfkit plugins list shows those there are")
    failed = 0
    for row in chosen:
        try:
            testing.check(row.kind, f"{row.distribution}/{row.name}")
            click.echo(f"passed  {row.kind}/{row.name}")
        except testing.ConformanceError as error:
            failed += 1
            click.echo(f"FAILED  {row.kind}/{row.name}: {error}")
    sys.exit(1 if failed else 0)


def _chosen(row: Plugin, name: str | None) -> bool:
    return name in (None, row.name, f"{row.kind}/{row.name}")


def _line(row: Plugin, widths: list[int]) -> str:
    cells = [row.kind, row.name, row.distribution]
    start = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths))
    return f"{start}  {row.summary}" if row.error is None else f"{start}  BROKEN: {row.error}"


def _echo_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=1, default=str))
