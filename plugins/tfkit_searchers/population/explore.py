"""How a member's values change when it goes on from a better one (Jaderberg et al. 2017)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from keras_tuner.engine.hyperparameters import Int

from tfkit_searchers import space
from tfkit_searchers.axes import Axis
from tfkit_searchers.levels import levels, sample, within

FACTORS = (0.8, 1.25)


def explored(
    parameters: space.Space,
    values: Mapping[str, Any],
    fixed: Collection[str],
    resample: float,
    generator: np.random.Generator,
) -> space.Values:
    """Values near those of a better member.

    Args:
        parameters: The space.
        values: The better member's.
        fixed: Names of hyperparameters that stay as they are.
        resample: Share of the others that are drawn anew; the rest is perturbed.
        generator: For all that is random.
    """

    def value(parameter: Any) -> Any:
        current = values.get(parameter.name, parameter.default)
        if parameter.name in fixed:
            return current
        if parameter.name not in values or generator.random() < resample:
            return sample(parameter, generator.random())
        return perturbed(parameter, current, generator)

    return space.active_values(parameters, value)


def perturbed(parameter: Any, value: Any, generator: np.random.Generator) -> Any:
    """A number a quarter larger or a fifth smaller, or the next one that there is; a choice as it is.

    Example:
        >>> from keras_tuner.engine.hyperparameters import Float
        >>> generator = np.random.default_rng(0)
        >>> sorted({perturbed(Float("rate", 0.0, 1.0), 0.5, generator) for _ in range(30)})
        [0.4, 0.625]
        >>> sorted({perturbed(Int("layers", 1, 4), 2, generator) for _ in range(30)})
        [1, 3]
    """
    up = bool(generator.integers(2))
    found = levels(parameter)
    if found is None:
        return within(parameter, value * FACTORS[up]) if value else sample(parameter, generator.random())
    if Axis(parameter).is_category:
        return value
    return _moved(parameter, found, value, up)


def _moved(parameter: Any, found: Sequence[Any], value: Any, up: bool) -> Any:
    """The nearest level to a number's perturbation, or at least the next one; at an end the value stays."""
    place = found.index(value) if value in found else 0
    if isinstance(parameter, Int) and parameter.step in (None, 1):
        target = value * FACTORS[up]
        return within(parameter, max(round(target), value + 1) if up else min(round(target), value - 1))
    return found[min(max(place + (1 if up else -1), 0), len(found) - 1)]
