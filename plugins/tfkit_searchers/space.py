"""Sets of values over a space of hyperparameters, conditional scopes respected.

A space is a sequence of KerasTuner's hyperparameters, parents before the children of their scopes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from tfkit_searchers.levels import levels, sample

Values = dict[str, Any]
Space = Sequence[Any]


def is_active(parameter: Any, values: Mapping[str, Any]) -> bool:
    """Whether all scopes that the hyperparameter is in are open under these values."""
    return all(condition.is_active(values) for condition in parameter.conditions)


def active_values(space: Space, value: Callable[[Any], Any]) -> Values:
    """A value for each hyperparameter that is active under the values of those before it."""
    found: Values = {}
    for parameter in space:
        if parameter.name not in found and is_active(parameter, found):
            found[parameter.name] = value(parameter)
    return found


def drawn(space: Space, generator: np.random.Generator) -> Values:
    """Values drawn at random: uniform, or logarithmic where the hyperparameter says so."""
    return active_values(space, lambda parameter: sample(parameter, generator.random()))


def completed(space: Space, values: Mapping[str, Any]) -> Values:
    """The active values, with the default for each hyperparameter that was not known when they were chosen."""
    return active_values(space, lambda parameter: values.get(parameter.name, parameter.default))


def key(space: Space, values: Mapping[str, Any]) -> str:
    """A text that is equal for equal sets of active values, and only for those."""
    return json.dumps(completed(space, values), sort_keys=True)


def combinations(space: Space, levels_of: Callable[[Any], Iterable[Any]]) -> Iterator[Values]:
    """Every set of active values, the last hyperparameter changing fastest; nothing is computed ahead.

    Args:
        space: The hyperparameters.
        levels_of: The values to go through for one of them.

    Example:
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Choice("kind", ["flat", "deep"])
        >>> with hp.conditional_scope("kind", ["deep"]):
        ...     _ = hp.Int("layers", 2, 3)
        >>> for values in combinations(hp.space, levels):
        ...     print(values)
        {'kind': 'flat'}
        {'kind': 'deep', 'layers': 2}
        {'kind': 'deep', 'layers': 3}
    """

    def extend(values: Values, position: int) -> Iterator[Values]:
        while position < len(space) and (space[position].name in values or not is_active(space[position], values)):
            position += 1
        if position == len(space):
            yield values
            return
        for value in levels_of(space[position]):
            yield from extend({**values, space[position].name: value}, position + 1)

    return extend({}, 0)


def shuffled_levels(generator: np.random.Generator) -> Callable[[Any], Iterable[Any]]:
    """For `combinations`: the values from a random one on, round to it; of a range of floats one that is drawn."""

    def levels_of(parameter: Any) -> Iterable[Any]:
        found = levels(parameter)
        if found is None:
            return (sample(parameter, generator.random()),)
        start = int(generator.integers(len(found)))
        return (found[(start + position) % len(found)] for position in range(len(found)))

    return levels_of


def hyperparameters(space: Space, values: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """KerasTuner's HyperParameters with these values, as `build` takes them.

    What is active and has no value is left out of its space: it was found after the values were chosen,
    and `build` gets its default. Hyperparameters are shared and not copied: they never change.
    """
    made = keras_tuner.HyperParameters()
    made.values = dict(values)
    for parameter in space:
        if parameter.name in values or not is_active(parameter, values):
            made._hps[parameter.name].append(parameter)
            made._space.append(parameter)
    return made


def differences(before: Space, now: Space) -> list[str]:
    """What is different between two spaces, in words; empty where they are equal.

    Example:
        >>> one, other = keras_tuner.HyperParameters(), keras_tuner.HyperParameters()
        >>> _ = one.Boolean("bias"), other.Int("units", 1, 8)
        >>> differences(one.space, other.space)
        ["'bias' is gone", "'units' is new"]
    """
    old, new = ({_identity(each): each for each in space} for space in (before, now))
    told = [f"{name!r} is gone" for name, _ in old.keys() - new.keys()]
    told += [f"{name!r} is new" for name, _ in new.keys() - old.keys()]
    changed = sorted(each for each in old.keys() & new.keys() if _config(old[each]) != _config(new[each]))
    return sorted(told) + [f"{each[0]!r} was {old[each]} and is {new[each]}" for each in changed]


def _identity(parameter: Any) -> tuple[str, str]:
    return parameter.name, json.dumps([condition.get_config() for condition in parameter.conditions])


def _config(parameter: Any) -> str:
    # As text: what comes from a database has lists where tuples were given.
    return json.dumps(parameter.get_config(), sort_keys=True)
