"""Random search."""

from __future__ import annotations

from typing import Any

from tfkit_searchers import space
from tfkit_searchers.oracle import DurableOracle

_DRAWS = 100


class RandomSearch(DurableOracle):
    """Values drawn at random, as their space declares them, and never the same set twice.

    Args:
        objective: As for `DurableOracle`, as are all others.
        max_trials: Trials in all; None goes on until every distinct set of active values was tried.
        **options: The arguments of `DurableOracle`.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Int("units", 4, 256, sampling="log")
        >>> oracle = RandomSearch("val_loss", max_trials=2, hyperparameters=hp, seed=0)
        >>> oracle.verbose = 0
        >>> trial = oracle.create_trial("me")
        >>> _ = oracle.update_trial(trial.trial_id, {"val_loss": 0.5})
        >>> trial.status = "COMPLETED"
        >>> oracle.end_trial(trial)
        >>> oracle.get_best_trials()[0].score
        0.5
    """

    def __init__(self, objective: Any = None, max_trials: int | None = 10, **options: Any) -> None:
        super().__init__(objective, max_trials, **options)

    def propose(self, number: int) -> space.Values | None:
        generator = self.generator(number)
        return self.first_new((space.drawn(self.hyperparameters.space, generator) for _ in range(_DRAWS)), generator)
