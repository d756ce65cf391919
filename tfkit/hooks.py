"""The hooks that a plugin package may implement, and the marker to do it with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from tfkit.spec import Command, Spec

PROJECT = "tfkit"
ENTRY_POINTS = "tfkit.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def tfkit_metrics() -> Iterable[Spec]:
    """Yield the specs of streaming Keras metrics."""
    return ()


@hookspec
def tfkit_schedules() -> Iterable[Spec]:
    """Yield the specs of learning-rate schedules."""
    return ()


@hookspec
def tfkit_regularizers() -> Iterable[Spec]:
    """Yield the specs of regularizers and constraints."""
    return ()


@hookspec
def tfkit_searchers() -> Iterable[Spec]:
    """Yield the specs of searchers (KerasTuner oracles)."""
    return ()


@hookspec
def tfkit_compressors() -> Iterable[Spec]:
    """Yield the specs of compressors."""
    return ()


@hookspec
def tfkit_callbacks() -> Iterable[Spec]:
    """Yield the specs of training callbacks."""
    return ()


@hookspec
def tfkit_strategies() -> Iterable[Spec]:
    """Yield the specs of distribution strategies."""
    return ()


@hookspec
def tfkit_exporters() -> Iterable[Spec]:
    """Yield the specs of exporters."""
    return ()


@hookspec
def tfkit_commands() -> Iterable[Command]:
    """Yield commands to add to the command line."""
    return ()
