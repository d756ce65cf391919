"""main: what a recipe script does when it is the main program."""

from __future__ import annotations

import sys

from tfkit.recipe import Recipe


def main(recipe: Recipe) -> None:
    """Runs a recipe with the options of `tfkit run`, its errors in one line and its exit status; --help lists them.

    Args:
        recipe: The recipe, as it is and not read from its script again.
    """
    from tfkit.cli import execute
    from tfkit.cli.run import command

    execute(command(recipe), sys.argv[1:])
