"""Parameters of the searchers: KerasTuner's own names. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated, Any

from tfkit.parameters import Ge, Gt

MaxTrials = Annotated[int | None, Gt(0), "Trials in all; None goes on until every set of values was tried."]


@dataclass(frozen=True, kw_only=True)
class Searcher:
    objective: Annotated[Any, "What is optimized: a name such as 'val_loss', or a keras_tuner.Objective."] = None
    max_trials: MaxTrials = None
    hyperparameters: Annotated[
        Any, "keras_tuner.HyperParameters to begin with; None for those that build asks for."
    ] = None
    seed: Annotated[int | None, Ge(0), "Seed of the search; None draws one and stores it."] = None
    allow_new_entries: Annotated[bool, "Whether build may ask for more than `hyperparameters` holds."] = True
    tune_new_entries: Annotated[bool, "Whether what build asks for besides is searched, or keeps its default."] = True
    max_retries_per_trial: Annotated[int, Ge(0), "How often a trial that failed is run again."] = 0
    max_consecutive_failed_trials: Annotated[int, Gt(0), "Failed trials in a row that end the search."] = 3


@dataclass(frozen=True, kw_only=True)
class Grid(Searcher):
    pass


@dataclass(frozen=True, kw_only=True)
class Random(Searcher):
    max_trials: MaxTrials = 10


@dataclass(frozen=True, kw_only=True)
class Bayesian(Searcher):
    max_trials: MaxTrials = 10
    num_initial_points: Annotated[
        int | None, Gt(0), "Trials spread evenly before scores count; None takes twice the hyperparameters, 6 to 12."
    ] = None
