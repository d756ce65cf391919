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
        name="bayesian",
        summary="Where a Gaussian process of the scores so far expects the most improvement.",
        target="tfkit_searchers.bayesian.oracle:BayesianSearch",
        params=schemas.Bayesian,
        examples=({"objective": "val_loss"}, {"objective": "val_accuracy", "num_initial_points": 4, "seed": 1}),
    )
