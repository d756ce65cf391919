"""Searchers, KerasTuner oracles that no kill can harm: the table of the package."""

from collections.abc import Iterator

import tfkit
from tfkit_searchers import schemas


@tfkit.hookimpl
def tfkit_searchers() -> Iterator[tfkit.Spec]:
    yield tfkit.Spec(
        name="grid",
        summary="Every combination of values in turn, the defaults first.",
        target="tfkit_searchers.grid:GridSearch",
        params=schemas.Grid,
        examples=({"objective": "val_loss"}, {"objective": "val_accuracy", "max_trials": 20}),
    )
    yield tfkit.Spec(
        name="random",
        summary="Values drawn at random as their space declares them, never the same twice.",
        target="tfkit_searchers.random_search:RandomSearch",
        params=schemas.Random,
        examples=({"objective": "val_loss"}, {"objective": "val_accuracy", "max_trials": 20, "seed": 1}),
    )
    yield tfkit.Spec(
        name="sobol",
        summary="Values spread evenly over the space, more so than random ones, never the same twice.",
        target="tfkit_searchers.sobol:SobolSearch",
        params=schemas.Sobol,
        examples=({"objective": "val_loss"}, {"objective": "val_accuracy", "max_trials": 20, "seed": 1}),
    )
    yield tfkit.Spec(
        name="bayesian",
        summary="Where a Gaussian process of the scores so far expects the most improvement.",
        target="tfkit_searchers.bayesian.oracle:BayesianSearch",
        params=schemas.Bayesian,
        examples=({"objective": "val_loss"}, {"objective": "val_accuracy", "num_initial_points": 4, "seed": 1}),
    )
    yield tfkit.Spec(
        name="genetic",
        summary="Children of the best trials, among which a model chooses; a Pareto front of several objectives.",
        target="tfkit_searchers.genetic.oracle:GeneticSearch",
        params=schemas.Genetic,
        examples=(
            {"objective": "val_loss"},
            {"objective": "val_accuracy", "population_size": 6, "seed": 1},
            {"objective": "val_loss", "offspring": 1, "mutation_rate": 0.5},
        ),
    )
    yield tfkit.Spec(
        name="hyperband",
        summary="Many configurations for a few epochs, the best of them for more.",
        target="tfkit_searchers.hyperband.oracle:HyperbandSearch",
        params=schemas.Hyperband,
        examples=({"objective": "val_loss"}, {"objective": "val_accuracy", "max_epochs": 9, "seed": 1}),
    )
    yield tfkit.Spec(
        name="population",
        summary="Members that train side by side: the bad ones go on from the good ones, with values near theirs.",
        target="tfkit_searchers.population.oracle:PopulationSearch",
        params=schemas.Population,
        examples=(
            {"objective": "val_loss", "generations": 3},
            {"objective": "val_accuracy", "population": 4, "seed": 1},
        ),
    )
    yield tfkit.Spec(
        name="optuna",
        summary="What one of Optuna's samplers suggests; takes the extra of that name.",
        target="tfkit_searchers.optuna_samplers.oracle:OptunaSearch",
        params=schemas.Optuna,
        examples=({"objective": "val_loss"}, {"objective": "val_accuracy", "sampler": "random", "seed": 1}),
    )
