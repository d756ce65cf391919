"""tunable: a plugin and its parameters as hyperparameters of a search, with the bounds of its schema."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfkit.domains import Domain, domain_of, given_domain
from tfkit.errors import ParameterError
from tfkit.parameters import Parameter, check, parameters, suggest
from tfkit.recipe import Step, step_name
from tfkit.registry import check_kind, installed

Drawn = tuple[str, dict[str, Any]]


def tunable(
    hp: Any,
    kind: str,
    names: Step | Sequence[Step],
    *,
    ranges: Mapping[str, Any] | None = None,
    tune: Collection[str] = (),
    prefix: str | None = None,
) -> Drawn:
    """Draws a plugin and its parameters, for a search's `build(hp)` or any `keras_tuner.Tuner`.

    What is drawn: which of the plugins, where there are several; then, in the plugin's own conditional scope,
    its required parameters, those in `ranges` and those in `tune`. All others keep their defaults. Bounds are those
    of the schema where it has two; an end that is exclusive is kept off by a hundredth of the range. A range that
    begins above 0 and spans two decades is sampled logarithmically.

    The hyperparameters are called "PREFIX" (which plugin) and "PREFIX/PLUGIN/PARAMETER".

    Args:
        hp: KerasTuner's hyperparameters.
        kind: The plugins' kind, such as "schedule".
        names: A plugin or several, each a name, or (name, params) with parameters that are fixed.
        ranges: By parameter: (low, high), both inclusive; (low, high, "linear" or "log"); a list of choices; or
            KerasTuner's own arguments, such as {"min_value": 8, "max_value": 64, "step": 8}.
        tune: Optional parameters to draw besides, within the bounds of the schema.
        prefix: What the hyperparameters' names begin with; None for the kind.

    Returns:
        Name and parameters: what `tfkit.create(kind, name, **params)` takes, and any step of a recipe.

    Raises:
        PluginNotFound: There is no such kind or plugin.
        ParameterError: A parameter has no bounds to draw from (the text says which ranges to pass), a range is
            beyond the bounds of the schema, or no plugin has a parameter of that name.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> ranges = {"initial": (1e-4, 1e-1), "value": (1e-4, 1e-1)}
        >>> tunable(hp, "schedule", [("cosine", {"steps": 100}), "constant"], ranges=ranges)
        ('cosine', {'steps': 100, 'initial': 0.0001})
        >>> [each.name for each in hp.space]
        ['schedule', 'schedule/cosine/initial', 'schedule/constant/value']
    """
    check_kind(kind)
    prefix = kind if prefix is None else prefix
    given: list[Any] = [names] if isinstance(names, str) or _is_pair(names) else list(names)
    plugins = [_Plugin.of(kind, *step_name(each), ranges or {}, tune) for each in given]
    _check_names(kind, plugins, {**(ranges or {}), **dict.fromkeys(tune)})
    _check_missing(plugins)
    _check_fixed(plugins)
    known = [plugin.name for plugin in plugins]
    chosen = hp.Choice(prefix, known) if len(known) > 1 else known[0]
    drawn: dict[str, Any] = {}
    for plugin in plugins:
        # Every plugin is asked for, so that the whole space is known after one call; inactive ones give None.
        with _scope(hp, prefix, plugin.name, len(known)):
            values = {name: domain.draw(hp, f"{prefix}/{plugin.name}/{name}") for name, domain in plugin.domains}
        if plugin.name == chosen:
            drawn = check(plugin.schema, {**plugin.fixed, **values}, owner=plugin.owner)
    return chosen, drawn


@dataclass(frozen=True)
class _Plugin:
    """A plugin of which parameters are drawn.

    Attributes:
        name: Its name, as it was given.
        owner: It in words, for errors.
        schema: The schema of its parameters.
        fixed: Values that were given.
        domains: By parameter, what it is drawn from; None where there is nothing to draw from.
    """

    name: str
    owner: str
    schema: type
    fixed: Mapping[str, Any]
    found: Mapping[str, Domain | None]

    @classmethod
    def of(
        cls, kind: str, name: str, fixed: Mapping[str, Any], ranges: Mapping[str, Any], tune: Collection[str]
    ) -> _Plugin:
        spec = installed().get(kind, name).spec
        assert spec is not None
        owner = f"{kind} {name!r}"
        drawn = [each for each in parameters(spec.params) if each.name not in fixed and _is_drawn(each, ranges, tune)]
        found = {each.name: _domain(each, ranges, owner) for each in drawn}
        return cls(name, owner, spec.params, fixed, found)

    @property
    def parameters(self) -> dict[str, Parameter]:
        return {each.name: each for each in parameters(self.schema)}

    @property
    def domains(self) -> Iterator[tuple[str, Domain]]:
        return ((name, domain) for name, domain in self.found.items() if domain is not None)


def _is_pair(names: Any) -> bool:
    return isinstance(names, tuple) and len(names) == 2 and isinstance(names[1], Mapping)


def _is_drawn(parameter: Parameter, ranges: Mapping[str, Any], tune: Collection[str]) -> bool:
    return parameter.required or parameter.name in ranges or parameter.name in tune


def _domain(parameter: Parameter, ranges: Mapping[str, Any], owner: str) -> Domain | None:
    if parameter.name in ranges:
        return given_domain(parameter, ranges[parameter.name], owner=owner)
    return domain_of(parameter)


def _check_names(kind: str, plugins: Sequence[_Plugin], asked: Mapping[str, Any]) -> None:
    names = [plugin.name for plugin in plugins]
    if not names or len(set(names)) < len(names):
        raise ParameterError(f"tunable draws one of several different plugins of the kind {kind!r}; got {names}")
    known = {name for plugin in plugins for name in plugin.parameters}
    for name in asked:
        if name not in known:
            raise ParameterError(f"no {kind} of {', '.join(names)} takes a parameter {name!r}{suggest(name, known)}")


def _check_missing(plugins: Sequence[_Plugin]) -> None:
    missing = [(plugin, name) for plugin in plugins for name, domain in plugin.found.items() if domain is None]
    if not missing:
        return
    words = [f"{name!r} of {plugin.owner} ({plugin.parameters[name].constraint})" for plugin, name in missing]
    plugin, name = missing[0]
    raise ParameterError(
        f"there is no range to draw {', '.join(words)} from: pass ranges={{{name!r}: (low, high)}} or a list of "
        f"choices, or fix it with ({plugin.name!r}, {{{name!r}: …}})"
    )


def _check_fixed(plugins: Sequence[_Plugin]) -> None:
    """Those that were not drawn would be refused in a later trial otherwise."""
    for plugin in plugins:
        check(
            plugin.schema, {**{name: each.example for name, each in plugin.domains}, **plugin.fixed}, owner=plugin.owner
        )


def _scope(hp: Any, prefix: str, name: str, count: int) -> contextlib.AbstractContextManager[Any]:
    return hp.conditional_scope(prefix, [name]) if count > 1 else contextlib.nullcontext()
