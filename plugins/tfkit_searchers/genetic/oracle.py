"""Genetic search."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfkit_searchers.genetic.breeding import Breeding, children
from tfkit_searchers.genetic.screen import promised
from tfkit_searchers.modelled import ModelledOracle
from tfkit_searchers.pareto import ordered
from tfkit_searchers.told import Told


class GeneticSearch(ModelledOracle):
    """Children of the best trials so far: selected by tournaments, crossed and mutated.

    The first population is spread evenly (Sobol). From then on every trial is a child of the best ones; of many
    that are bred, a Gaussian process of the scores so far chooses the one that promises the most (surrogate-assisted
    evolution, Jin, "Surrogate-assisted evolutionary computation", 2011); where the search stalls, every second time
    one away from the best trial. Scopes may be conditional, and the space may grow. With several objectives the best
    are those of non-dominated sorting and crowding (NSGA-II, Deb et al. 2002), the promise is that of a random
    weighting of them (Knowles, "ParEGO", 2006), and `pareto_front` tells what was reached. Trials that exceed a bound
    are worse than all that do not, the more they exceed it (constrained domination, Deb et al. 2002), and a child
    promises less where it is likely to (Gardner et al., "Bayesian optimization with inequality constraints", 2014).

    Args:
        objective: As for `DurableOracle`, as are all others; a list of objectives is searched for its Pareto front.
        max_trials: Trials in all; None goes on until every distinct set of active values was tried.
        population_size: How many of the best trials may be parents, and how many are spread evenly at first;
            None takes twice the hyperparameters, 8 to 20.
        offspring: Children bred for each trial; with 1 there is no model, as where a score says little.
        tournament_size: How many of the population a parent is the best of.
        crossover_rate: Share of the children that have two parents.
        mutation_rate: Share of a child's hyperparameters that mutate; None for one of them on average.
        **options: The arguments of `DurableOracle`.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("x", -5.0, 5.0)
        >>> oracle = GeneticSearch("val_loss", max_trials=20, hyperparameters=hp, seed=0)
        >>> oracle.verbose = 0
        >>> for _ in range(20):
        ...     trial = oracle.create_trial("me")
        ...     _ = oracle.update_trial(trial.trial_id, {"val_loss": (trial.hyperparameters.get("x") - 2) ** 2})
        ...     trial.status = "COMPLETED"
        ...     oracle.end_trial(trial)
        >>> abs(oracle.get_best_trials()[0].hyperparameters.get("x") - 2) < 0.1
        True
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        population_size: int | None = None,
        offspring: int = 200,
        tournament_size: int = 3,
        crossover_rate: float = 0.8,
        mutation_rate: float | None = None,
        **options: Any,
    ) -> None:
        self.population_size = population_size
        self.offspring = offspring
        self._breeding = Breeding(
            tournament=tournament_size, crossover_rate=crossover_rate, mutation_rate=mutation_rate
        )
        super().__init__(objective, max_trials, **options)

    def initial(self) -> int:
        if self.population_size is not None:
            return self.population_size
        return min(max(2 * len(self.hyperparameters.space), 8), 20)

    def promising(self, number: int, told: Told, generator: np.random.Generator) -> np.ndarray:
        parents = self.points(told.trials)[ordered(told.losses, told.violations)]
        if self.offspring == 1:
            return self._children(parents, generator)
        beliefs = self.beliefs(number, told)
        if number % 2 and len(beliefs) == 1 and self.is_stalled(told):
            beliefs = [beliefs[0].elsewhere(self.encoding())]
            parents = beliefs[0].points
        born = self._children(parents, generator)
        return born[promised(self.encoding(), beliefs, self.limits(number, told), born, generator)]

    def _children(self, parents: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return children(self.encoding(), parents[: self.initial()], self.offspring, self._breeding, generator)
