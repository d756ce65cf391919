"""Quasi-random search."""

from __future__ import annotations

from typing import Any

from tfkit_searchers import space
from tfkit_searchers.oracle import DurableOracle
from tfkit_searchers.spread import spread

_POINTS = 128  # a power of two, for which the sequence is made
_STREAM = 2**32  # no trial has this number


class SobolSearch(DurableOracle):
    """Values spread evenly, more so than random ones, and never the same set twice.

    The points are Sobol's, scrambled (Owen 1998): whatever the number of trials, each range and each pair of
    ranges is covered about as well as so many trials can. A point whose values were tried gives way to the next.

    Args:
        objective: As for `DurableOracle`, as are all others.
        max_trials: Trials in all; None goes on until every distinct set of active values was tried.
        **options: The arguments of `DurableOracle`.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("x", 0.0, 8.0)
        >>> oracle = SobolSearch("val_loss", max_trials=8, hyperparameters=hp, seed=0)
        >>> oracle.verbose = 0
        >>> sorted(int(oracle.create_trial(f"tuner{n}").hyperparameters.get("x")) for n in range(8))
        [0, 1, 2, 3, 4, 5, 6, 7]
    """

    def __init__(self, objective: Any = None, max_trials: int | None = 10, **options: Any) -> None:
        super().__init__(objective, max_trials, **options)

    def propose(self, number: int) -> space.Values | None:
        points = spread(self.hyperparameters.space, self.generator(_STREAM), number, _POINTS)
        return self.first_new(points, self.generator(number))
