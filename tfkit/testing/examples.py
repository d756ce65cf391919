"""The objects that a plugin's examples make: what the checks of behaviour run on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from tfkit.errors import ConformanceError
from tfkit.factory import create
from tfkit.registry import Plugin
from tfkit.spec import KINDS, Spec

Example = Mapping[str, Any]


def require(good: Any, text: str) -> None:
    """Raises ConformanceError with the text unless `good` holds."""
    if not good:
        raise ConformanceError(text)


def spec_of(plugin: Plugin) -> Spec:
    """The plugin's spec.

    Raises:
        ConformanceError: If the plugin is broken.
    """
    require(plugin.spec is not None, f"{plugin.name!r} is broken: {plugin.error}")
    assert plugin.spec is not None
    return plugin.spec


def make(plugin: Plugin, example: Example) -> Any:
    """Creates the plugin's object as a user does, from this distribution."""
    return create(plugin.kind, f"{plugin.distribution}/{plugin.name}", **example)


def product(kind: str) -> tuple[Any, ...]:
    """The types that objects of the kind have."""
    return tuple(_load(each) for each in KINDS[kind].products)


def workable(plugin: Plugin) -> list[Example]:
    """The examples that make an object of the kind's type.

    The others are told by the check `examples_make_the_product`: what rests on them is not told again.
    """
    return [example for example in spec_of(plugin).examples if _makes(plugin, example)]


def _makes(plugin: Plugin, example: Example) -> bool:
    try:
        return isinstance(make(plugin, example), product(plugin.kind))
    except Exception:
        return False


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return attrgetter(attribute)(importlib.import_module(module))
