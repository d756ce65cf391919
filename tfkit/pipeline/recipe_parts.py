"""The plugins that a recipe names, by the section that names them."""

from __future__ import annotations

from tfkit.pipeline.steps import AUTO, named_steps
from tfkit.recipe import Recipe, Step, step_name
from tfkit.registry import Plugin, installed


def late_parts(recipe: Recipe) -> list[tuple[str, Step]]:
    """The plugins that are made only in their stage."""
    parts: list[tuple[str, Step]] = []
    if recipe.search is not None:
        parts.append(("searcher", (recipe.search.searcher, {"objective": recipe.search.objective})))
        if recipe.search.stop_early is not None:
            parts.append(("callback", recipe.search.stop_early))
    if recipe.train.strategy is not None:
        parts.append(("strategy", recipe.train.strategy))
    if recipe.compress is not None:
        parts += [("compressor", step) for step in named_steps(recipe.compress.steps)]
        if recipe.compress.steps == AUTO:
            parts.append(("searcher", recipe.compress.searcher))
    if recipe.export is not None:
        parts.append(("exporter", recipe.export.format))
    return parts


def used_plugins(recipe: Recipe) -> list[dict[str, str]]:
    """Every plugin that a recipe names, with the version of the distribution that provides it, for `tfkit.json`."""
    train = recipe.train
    early: list[tuple[str, Step | None]] = [("metric", metric) for metric in recipe.metrics]
    early += [("schedule", train.schedule), ("regularizer", train.regularizer)]
    early += [("callback", step) for step in train.callbacks]
    named = [(kind, step_name(step)[0]) for kind, step in (*early, *late_parts(recipe)) if step is not None]
    return [_row(installed().get(kind, name)) for kind, name in dict.fromkeys(named)]


def _row(plugin: Plugin) -> dict[str, str]:
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
    }
