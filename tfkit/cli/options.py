"""Options that several commands share, and how they print."""

from __future__ import annotations

import ast
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tfkit.recipe import Recipe

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
recipe_data = click.option(
    "--data", "recipe", required=True, metavar="RECIPE.py", help="The recipe whose data (and metrics) are used."
)
model_argument = click.argument("model", type=click.Path())


def open_recipe(path: str) -> Recipe:
    """The recipe of a script."""
    from tfkit.pipeline.script import load_recipe

    return load_recipe(path)


def echo_json(value: Any) -> None:
    """Prints a value as JSON; arrays become lists, paths strings, NaN null."""
    from tfkit.pipeline.folder import plain_json

    click.echo(json.dumps(plain_json(value), indent=1))


def echo_pairs(pairs: dict[str, Any]) -> None:
    """Prints names and values, one pair a line."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        shown = f"{value:.4f}" if isinstance(value, float) else value
        click.echo(f"{name.ljust(width)}  {shown}")


def parse_value(text: str) -> Any:
    """A value from the command line: JSON or a Python literal where it is one, else the text itself.

    Example:
        >>> parse_value("3"), parse_value("adam"), parse_value('["a", 1]'), parse_value("'adam'"), parse_value("None")
        (3, 'adam', ['a', 1], 'adam', None)
    """
    for parse in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError):
            return parse(text)
    return text


def parse_steps(text: str) -> list[Any]:
    """Steps from the command line: names with parameters in brackets.

    Example:
        >>> parse_steps("prune(sparsity=0.5,schedule=constant),quantize")
        [('prune', {'sparsity': 0.5, 'schedule': 'constant'}), ('quantize', {})]
    """
    return [_parse_step(each) for each in _split(text) if each.strip()]


def _split(text: str) -> list[str]:
    """Splits at commas that are outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _parse_step(text: str) -> tuple[str, dict[str, Any]]:
    name, _, inside = text.strip().partition("(")
    pairs = [each.partition("=") for each in _split(inside.removesuffix(")")) if each.strip()]
    return name, {key.strip(): parse_value(value.strip()) for key, _, value in pairs}


def existing(path: str) -> Path:
    """A path that is there.

    Raises:
        click.UsageError: If it is not.
    """
    if not Path(path).exists():
        raise click.UsageError(f"there is no {path!r}")
    return Path(path)
