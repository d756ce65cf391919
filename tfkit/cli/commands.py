"""The commands there are: those of the core and those that plugins add, each imported when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from tfkit.errors import PluginNotFound
from tfkit.missing import explain_missing
from tfkit.registry import installed
from tfkit.spec import Command

BUILT_IN = (
    Command("plugins", "List, show and check plugins.", "tfkit.cli.plugins:plugins"),
    Command("run", "Run a recipe: from data to a small, verified, exported model.", "tfkit.cli.run:run"),
    Command("evaluate", "Metrics of a model on a recipe's data.", "tfkit.cli.evaluate:evaluate"),
    Command("measure", "Parameters, bytes and latency of a model.", "tfkit.cli.measure:measure"),
    Command("compress", "Make a model smaller or faster, within a bound.", "tfkit.cli.compress:compress"),
    Command("export", "Write a model for a server, verified; export verify DIR checks one.", "tfkit.cli.export:export"),
    Command("search", "Show a search's trials and its best values, export its best model.", "tfkit.cli.search:search"),
    Command("doctor", "Print what is wrong with the training of a run, and what to try.", "tfkit.cli.doctor:doctor"),
    Command("bench", "Put load on a server; run a checkout's benchmarks.", "tfkit.cli.bench:bench"),
    Command("serve", "Serve models by TensorFlow Serving's REST and gRPC.", "tfkit.cli.serve:serve"),
    Command("gateway", "Serve models in the words of their tasks, before a server.", "tfkit.cli.gateway:gateway"),
    Command("deploy", "Move a label to a new version and back; bundles for devices.", "tfkit.cli.deploy:deploy"),
    Command("launch", "Run a script in several processes that train together.", "tfkit.cli.launch:launch"),
    Command("report", "Write the report of a run, or of a search, from its files.", "tfkit.cli.report:report"),
)


class Commands(click.Group):
    """A group whose commands are named in tables, so that `--help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the tables."""
        return list(_commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        command = _commands().get(cmd_name)
        if command is None:
            return None
        module, _, attribute = command.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise PluginNotFound(explain_missing(f"command {cmd_name!r}", error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes names and summaries without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(command.name, command.summary) for command in _commands().values()])


def _commands() -> dict[str, Any]:
    added = {command.name: command for _, command in installed().commands}
    return {**added, **{command.name: command for command in BUILT_IN}}
