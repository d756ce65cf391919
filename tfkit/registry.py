"""The registry: every plugin that the installed distributions offer, the broken ones included."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import pluggy

from tfkit import hooks
from tfkit.errors import PluginConflict, PluginNotFound
from tfkit.missing import explain_missing
from tfkit.parameters import parameters, suggest
from tfkit.refused import refusal
from tfkit.spec import KINDS, Command, Spec


@dataclass(frozen=True)
class Plugin:
    """One row of the registry: a plugin, or what is broken and why.

    Attributes:
        kind: Its kind, empty where a whole package is broken.
        name: Its name, or the entry point's where a whole package is broken.
        summary: One sentence.
        distribution: The distribution that provides it.
        version: The distribution's version.
        spec: Its spec, None where broken.
        error: Why it cannot be used, or None.
        module: The module of the table that it stands in.
    """

    kind: str
    name: str
    summary: str = ""
    distribution: str = ""
    version: str = ""
    spec: Spec | None = None
    error: str | None = None
    module: str = ""

    @property
    def parameters(self) -> tuple[dict[str, Any], ...]:
        """Its parameters: name, constraint, required, default, doc."""
        return () if self.spec is None else tuple(each.as_dict() for each in parameters(self.spec.params))

    def as_dict(self) -> dict[str, Any]:
        """The row that `tfkit plugins list --json` prints."""
        row: dict[str, Any] = {
            "kind": self.kind,
            "name": self.name,
            "summary": self.summary,
            "distribution": self.distribution,
            "version": self.version,
            "parameters": list(self.parameters),
        }
        return row if self.error is None else {**row, "error": self.error}


@dataclass
class Registry:
    """Plugins by kind and name.

    Attributes:
        rows: All plugins, broken ones too, in the order of the kinds and of the distributions' names.
        commands: Commands for the command line, with the distribution that adds each.
    """

    rows: list[Plugin] = field(default_factory=list)
    commands: list[tuple[str, Command]] = field(default_factory=list)

    def add(self, module: ModuleType, distribution: str, version: str = "") -> None:
        """Adds every plugin of a module; what raises becomes a broken row."""
        manager = _manager()
        try:
            manager.register(module)
            manager.check_pending()
        except Exception as error:
            self.rows.append(_broken(module.__name__, distribution, version, error))
            return
        for kind in KINDS.values():
            self._add_kind(manager, kind.name, kind.hook, module, distribution, version)
        self._add_commands(manager, module, distribution, version)

    def _add_kind(
        self, manager: pluggy.PluginManager, kind: str, hook: str, module: ModuleType, distribution: str, version: str
    ) -> None:
        try:
            for spec in _call(manager, hook):
                if not isinstance(spec, Spec):
                    raise TypeError(f"{hook}() must yield tfkit.Spec objects; got {spec!r}")
                parameters(spec.params)
                if any((row.kind, row.name, row.distribution) == (kind, spec.name, distribution) for row in self.rows):
                    raise ValueError(f"{distribution} provides the {kind} {spec.name!r} twice")
                self.rows.append(
                    Plugin(kind, spec.name, spec.summary, distribution, version, spec, module=module.__name__)
                )
        except Exception as error:
            self.rows.append(_broken(module.__name__, distribution, version, error, kind))

    def _add_commands(self, manager: pluggy.PluginManager, module: ModuleType, distribution: str, version: str) -> None:
        try:
            for command in _call(manager, "tfkit_commands"):
                if not isinstance(command, Command):
                    raise TypeError(f"tfkit_commands() must yield tfkit.Command objects; got {command!r}")
                self.commands.append((distribution, command))
        except Exception as error:
            self.rows.append(_broken(module.__name__, distribution, version, error))

    def select(self, kind: str | None = None) -> list[Plugin]:
        """The rows of one kind, or all; sorted by kind, name and distribution."""
        if kind is not None:
            check_kind(kind)
        rows = [row for row in self.rows if kind in (None, row.kind) or (row.error and not row.kind)]
        order = list(KINDS)
        return sorted(rows, key=lambda row: (order.index(row.kind) if row.kind else 99, row.name, row.distribution))

    def get(self, kind: str, name: str) -> Plugin:
        """The plugin of that kind and name.

        Args:
            kind: One of the kinds.
            name: A plugin's name, or "distribution/name" where two distributions provide it.

        Raises:
            PluginNotFound: There is none; the text names the nearest, and packages that are broken.
            PluginConflict: Two distributions provide it.
        """
        check_kind(kind)
        distribution, _, short = str(name).rpartition("/")
        found = [row for row in self.rows if row.kind == kind and row.name == short and row.spec]
        found = [row for row in found if distribution in ("", row.distribution)]
        if not found:
            raise PluginNotFound(self._not_found(kind, str(name)))
        if len(found) > 1:
            providers = " or ".join(repr(f"{row.distribution}/{short}") for row in found)
            raise PluginConflict(f"more than one distribution provides the {kind} {short!r}: ask for {providers}")
        return found[0]

    def _not_found(self, kind: str, name: str) -> str:
        reason = refusal(kind, name)
        if reason:
            return f"{kind} {name!r} is refused: {reason}"
        known = {row.name for row in self.rows if row.kind == kind and row.spec}
        text = f"there is no {kind} {name!r}{suggest(name, known)}"
        elsewhere = sorted({row.kind for row in self.rows if row.name == name and row.spec})
        if elsewhere:
            text += f" ({name!r} is a {' and a '.join(elsewhere)})"
        broken = [f"{row.distribution} ({row.error})" for row in self.rows if row.error]
        return text + (f"; broken: {', '.join(broken)}" if broken else "")


def load(points: Iterable[EntryPoint]) -> Registry:
    """Makes a registry from entry points, loaded one by one; one that raises becomes a broken row."""
    registry = Registry()
    for point in sorted(points, key=lambda each: (_distribution(each), each.name)):
        version = point.dist.version if point.dist else ""
        try:
            module = point.load()
        except (Exception, SystemExit) as error:
            registry.rows.append(_broken(point.name, _distribution(point), version, error))
            continue
        registry.add(module, _distribution(point), version)
    return registry


@functools.cache
def installed() -> Registry:
    """The registry of what is installed, read once in a process."""
    return load(entry_points(group=hooks.ENTRY_POINTS))


def plugins(kind: str | None = None) -> list[Plugin]:
    """Lists the installed plugins; imports no framework.

    Args:
        kind: One of the kinds, or None for all.

    Returns:
        Rows with `.kind .name .summary .distribution .version .parameters`; broken ones have `.error`.

    Raises:
        PluginNotFound: If there is no such kind.

    Example:
        >>> import tfkit
        >>> "cosine" in [row.name for row in tfkit.plugins("schedule")]
        True
    """
    return installed().select(kind)


def resolve(plugin: Plugin) -> Any:
    """Imports what a plugin's target names.

    Raises:
        PluginNotFound: If it cannot be imported; the text says what to install.
    """
    assert plugin.spec is not None
    module, _, attribute = plugin.spec.target.partition(":")
    owner = f"{plugin.kind} {plugin.name!r}"
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise PluginNotFound(explain_missing(owner, error, plugin.distribution)) from error
    except AttributeError as error:
        raise PluginNotFound(f"{owner} names {plugin.spec.target!r}, which does not exist: {error}") from error


@contextlib.contextmanager
def registered(module: ModuleType, distribution: str = "registered-here") -> Iterator[Registry]:
    """Adds a module's plugins to the installed registry for the length of a `with` block (for tests)."""
    registry = installed()
    rows, commands = list(registry.rows), list(registry.commands)
    registry.add(module, distribution)
    try:
        yield registry
    finally:
        registry.rows[:], registry.commands[:] = rows, commands


def check_kind(kind: str) -> None:
    """Raises PluginNotFound unless there is such a kind."""
    if kind not in KINDS:
        raise PluginNotFound(f"there is no kind {kind!r}{suggest(str(kind), KINDS)}")


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


def _call(manager: pluggy.PluginManager, hook: str) -> Iterator[Any]:
    caller = getattr(manager.hook, hook)
    for implementation in caller.get_hookimpls():
        yield from implementation.function() or ()


def _broken(name: str, distribution: str, version: str, error: BaseException, kind: str = "") -> Plugin:
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return Plugin(kind, name, "", distribution, version, error=text)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else ""
