"""parametrize: every plugin of a distribution times every check, as pytest parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tfkit.errors import ConformanceError, ParameterError, PluginNotFound
from tfkit.parameters import suggest
from tfkit.registry import Plugin, installed
from tfkit.testing.kit import checks

Expected = Mapping[str, Mapping[str, str]]


def parametrize(distribution: str, expected_failures: Expected | None = None) -> Any:
    """A `pytest.mark.parametrize` over every plugin of a distribution and every check of its kind.

    The test takes `plugin` and `check` and calls `check(plugin)`. A part of the distribution that
    could not be loaded is one more test, which fails with its error.

    Args:
        distribution: The distribution's name, as pip lists it.
        expected_failures: By "kind/name" the checks that fail, each with the reason. They become
            strict xfails: one that passes after all fails the test.

    Raises:
        PluginNotFound: If the distribution provides no plugin.
        ParameterError: If `expected_failures` names a plugin or a check that does not exist.

    Example:
        >>> mark = parametrize("tfkit-keras", {"schedule/cosine": {"float32_scalar": "returns float64"}})
        >>> mark.name
        'parametrize'
    """
    import pytest

    expected = expected_failures or {}
    rows = [row for row in installed().select() if row.distribution == distribution]
    if not rows:
        known = {row.distribution for row in installed().rows}
        raise PluginNotFound(f"no installed distribution {distribution!r} has plugins{suggest(distribution, known)}")
    _check_expected(expected, rows)
    values = []
    for row in rows:
        for label, function in _checks_of(row):
            reason = expected.get(_key(row), {}).get(label)
            marks = () if reason is None else (pytest.mark.xfail(strict=True, reason=reason),)
            values.append(pytest.param(row, function, id=f"{_key(row)}/{label}", marks=marks))
    return pytest.mark.parametrize(("plugin", "check"), values)


def _checks_of(row: Plugin) -> Iterator[tuple[str, Any]]:
    if row.error is None:
        yield from checks(row.kind)
    else:
        yield "loads", _loads


def _loads(plugin: Plugin) -> None:
    raise ConformanceError(f"{plugin.name!r} of {plugin.distribution} is broken: {plugin.error}")


def _key(row: Plugin) -> str:
    return f"{row.kind or 'package'}/{row.name}"


def _check_expected(expected: Expected, rows: list[Plugin]) -> None:
    plugins = {_key(row): row for row in rows}
    for key, failures in expected.items():
        if key not in plugins:
            raise ParameterError(f"expected_failures names no plugin {key!r}{suggest(key, plugins)}")
        known = [label for label, _ in _checks_of(plugins[key])]
        for label in failures:
            if label not in known:
                raise ParameterError(f"expected_failures[{key!r}] names no check {label!r}{suggest(label, known)}")
