"""Bayesian search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial

from tfkit_searchers.bayesian import acquire
from tfkit_searchers.modelled import ModelledOracle
from tfkit_searchers.surrogate.belief import is_stalled
from tfkit_searchers.surrogate.warp import warped


class BayesianSearch(ModelledOracle):
    """Where a Gaussian process of the scores so far expects the most improvement.

    The first points are Sobol's, spread evenly. Then a Matern 5/2 kernel with a length scale for each
    hyperparameter is fitted to the scores, which are warped so that outliers do no harm, and the point of the
    highest expected improvement is tried. Choices have no order, unless they are numbers; a hyperparameter of a
    closed scope does not count. Failed trials count as bad, trials that are running as about as good as
    believed, so that several may run at once. No set of values comes twice. The cost of a trial stays flat.

    Args:
        objective: As for `DurableOracle`, as are all others.
        max_trials: Trials in all; None goes on until every distinct set of active values was tried.
        num_initial_points: Trials before the process is asked; None takes twice the hyperparameters, 6 to 12.
        **options: The arguments of `DurableOracle`.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("x", -5.0, 5.0)
        >>> oracle = BayesianSearch("val_loss", max_trials=15, hyperparameters=hp, seed=0)
        >>> oracle.verbose = 0
        >>> for _ in range(15):
        ...     trial = oracle.create_trial("me")
        ...     _ = oracle.update_trial(trial.trial_id, {"val_loss": (trial.hyperparameters.get("x") - 2) ** 2})
        ...     trial.status = "COMPLETED"
        ...     oracle.end_trial(trial)
        >>> abs(oracle.get_best_trials()[0].hyperparameters.get("x") - 2) < 0.01
        True
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        **options: Any,
    ) -> None:
        self.num_initial_points = num_initial_points
        super().__init__(objective, max_trials, **options)

    def initial(self) -> int:
        if self.num_initial_points is not None:
            return self.num_initial_points
        return min(max(2 * len(self.hyperparameters.space), 6), 12)

    def promising(self, number: int, done: Sequence[Trial], generator: np.random.Generator) -> np.ndarray:
        (belief,) = self.beliefs(number, done)
        if number % 2 and is_stalled(warped(self.losses(done)[:, 0])):
            belief = belief.elsewhere(self.encoding())
        promise = acquire.Promise(self.encoding(), belief)
        return acquire.ranked(self.encoding(), promise, belief.centers, generator)
