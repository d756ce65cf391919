"""Points of a scrambled Sobol sequence, spread evenly over a space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import qmc

from tfkit_searchers import space
from tfkit_searchers.levels import sample


def spread(parameters: space.Space, generator: np.random.Generator, first: int, count: int) -> Iterator[space.Values]:
    """So many points of a sequence, from one on; those before it cost nothing.

    Each hyperparameter has an axis of its own, which is left out where a scope is closed.

    Args:
        parameters: The space.
        generator: For the scrambling; one of the same state for all points of a sequence.
        first: The number of the first point, from 0.
        count: How many points.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Choice("kind", list("abcd"))
        >>> found = spread(hp.space, np.random.default_rng(0), first=0, count=4)
        >>> sorted(values["kind"] for values in found)
        ['a', 'b', 'c', 'd']
    """
    if not parameters:
        yield {}
        return
    sobol = qmc.Sobol(len(parameters), rng=generator)
    if first:
        sobol.fast_forward(first)
    axis = {id(each): index for index, each in enumerate(parameters)}  # names may come twice, in different scopes
    for point in sobol.random(count):
        yield space.active_values(parameters, lambda each, point=point: sample(each, point[axis[id(each)]]))
