"""shared: what several checks of a plugin need is made once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from tfkit.registry import Plugin

P = ParamSpec("P")
T = TypeVar("T")

# The last plugin that was checked, and what was made for it: models and folders of all plugins would fill the memory.
_last: tuple[Plugin | None, dict[Any, Any]] = (None, {})


def shared(function: Callable[Concatenate[Plugin, P], T]) -> Callable[Concatenate[Plugin, P], T]:
    """Keeps what a function of a plugin gives, by its other arguments, until another plugin is checked.

    Args:
        function: Its arguments after the plugin say in their `repr` what they are. What it raises is not kept.

    Example:
        >>> made = shared(lambda plugin, example: dict(example))
        >>> plugin = Plugin("metric", "accuracy")
        >>> made(plugin, {"top": 5}) is made(plugin, {"top": 5})
        True
    """

    @functools.wraps(function)
    def run(plugin: Plugin, /, *args: P.args, **kwargs: P.kwargs) -> T:
        global _last
        if _last[0] is not plugin:
            _last = (plugin, {})
        kept, key = _last[1], (function, repr((args, kwargs)))
        if key not in kept:
            kept[key] = function(plugin, *args, **kwargs)
        found: T = kept[key]
        return found

    return run
