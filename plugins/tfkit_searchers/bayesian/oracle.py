"""Bayesian search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tfkit_searchers.bayesian import acquire
from tfkit_searchers.modelled import ModelledOracle
from tfkit_searchers.pareto import ranks
from tfkit_searchers.told import Told, weighted


class BayesianSearch(ModelledOracle):
    """Where a Gaussian process of the scores so far expects the most improvement.

    The first points are Sobol's, spread evenly. Then a Matern 5/2 kernel with a length scale for each
    hyperparameter is fitted to the scores, which are warped so that outliers do no harm, and the point of the
    highest expected improvement is tried. Choices have no order, unless they are numbers; a hyperparameter of a
    closed scope does not count. Failed trials count as bad, trials that are running as about as good as
    believed, so that several may run at once. No set of values comes twice. The cost of a trial stays flat.

    Of several objectives each trial looks for the best under a weighting that is drawn for it (Knowles, "ParEGO",
    2006). With constraints the improvement counts by the probability that all bounds are kept to, each of which has a
    process of its own (Gardner et al., "Bayesian optimization with inequality constraints", 2014); until a trial keeps
    to them, the least violation is looked for.

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

    def promising(self, number: int, told: Told, generator: np.random.Generator) -> np.ndarray:
        is_one = told.losses.shape[1] == 1
        (belief,) = self.beliefs(number, told if is_one else _scalarized(told, generator))
        if number % 2 and is_one and self.is_stalled(told):
            belief = belief.elsewhere(self.encoding())
        promise = acquire.Promise(self.encoding(), belief, self.limits(number, told))
        return acquire.ranked(self.encoding(), promise, belief.centers, generator)


def _scalarized(told: Told, generator: np.random.Generator) -> Told:
    front = np.zeros(len(told.losses), bool)
    front[np.flatnonzero(told.feasible)[ranks(told.losses[told.feasible]) == 0]] = True
    weights = generator.dirichlet(np.ones(told.losses.shape[1]))
    return replace(told, losses=weighted(told.losses, front, weights))
