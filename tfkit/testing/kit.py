"""check and checks: every check of a kind, and all of them on one plugin."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Mapping
from types import ModuleType

from tfkit.errors import ConformanceError
from tfkit.registry import Plugin, check_kind, installed
from tfkit.testing import (
    callback,
    common,
    compressor,
    exporter,
    metric,
    regularizer,
    schedule,
    searcher,
    serialization,
    strategy,
)
from tfkit.testing.folders import empty_folder

Check = Callable[[Plugin], None]

_MODULES: Mapping[str, tuple[ModuleType, ...]] = {
    "metric": (common, serialization, metric),
    "schedule": (common, serialization, schedule),
    "regularizer": (common, serialization, regularizer),
    "searcher": (common, searcher),
    "compressor": (common, compressor),
    "callback": (common, callback),
    "strategy": (common, strategy),
    "exporter": (common, exporter),
}


def checks(kind: str) -> list[tuple[str, Check]]:
    """The checks of a kind as (name, function), in the order they run.

    Args:
        kind: One of the kinds.

    Raises:
        PluginNotFound: If there is no such kind.

    Example:
        >>> "same_in_a_graph" in dict(checks("schedule"))
        True
    """
    check_kind(kind)
    return [(each.__name__, _isolated(each)) for module in _MODULES[kind] for each in module.CHECKS]


def check(kind: str, name: str) -> None:
    """Runs every check of a kind on one plugin.

    Args:
        kind: One of the kinds.
        name: The plugin's name, or "distribution/name".

    Raises:
        ConformanceError: Names every check that failed and why; `.failures` holds the same as a dict.
        PluginNotFound: There is no such kind or plugin.
        PluginConflict: Two distributions provide the name.
    """
    plugin = installed().get(kind, name)
    failures = {label: text for label, function in checks(kind) if (text := _failure(function, plugin))}
    if not failures:
        return
    told = "".join(f"\n  {label}: {text}" for label, text in failures.items())
    raise ConformanceError(
        f"{kind} {plugin.name!r} fails {len(failures)} of {len(checks(kind))} checks:{told}", failures
    )


def _failure(function: Check, plugin: Plugin) -> str | None:
    try:
        function(plugin)
    except ConformanceError as error:
        return _one_line(str(error))
    except Exception as error:
        return _one_line(f"{type(error).__name__}: {error}")
    return None


def _one_line(text: str) -> str:
    # TensorFlow's errors go on for pages; pytest shows them whole.
    return textwrap.shorten(text, 500, placeholder=" …")


def _isolated(function: Check) -> Check:
    """The check, run in an empty folder: examples may hold relative paths."""

    @functools.wraps(function)
    def run(plugin: Plugin) -> None:
        with empty_folder():
            function(plugin)

    return run
