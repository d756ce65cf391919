"""Parameters of the searchers: KerasTuner's own names. Free of frameworks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tfkit.parameters import Ge, Gt, Le

MaxTrials = Annotated[int | None, Gt(0), "Trials in all; None goes on until every set of values was tried."]


@dataclass(frozen=True, kw_only=True)
class Searcher:
    objective: Annotated[
        Any, "What is optimized: a name such as 'val_loss', a keras_tuner.Objective, or a list of these."
    ] = None
    max_trials: MaxTrials = None
    hyperparameters: Annotated[
        Any, "keras_tuner.HyperParameters to begin with; None for those that build asks for."
    ] = None
    seed: Annotated[int | None, Ge(0), "Seed of the search; None draws one and stores it."] = None
    allow_new_entries: Annotated[bool, "Whether build may ask for more than `hyperparameters` holds."] = True
    tune_new_entries: Annotated[bool, "Whether what build asks for besides is searched, or keeps its default."] = True
    max_retries_per_trial: Annotated[int, Ge(0), "How often a trial that failed is run again."] = 0
    max_consecutive_failed_trials: Annotated[int, Gt(0), "Failed trials in a row that end the search."] = 3
    constraints: Annotated[
        Any, "Bounds by name: the most, or ('<=', number) or ('>=', number), of what a trial reports."
    ] = None


@dataclass(frozen=True, kw_only=True)
class Grid(Searcher):
    pass


@dataclass(frozen=True, kw_only=True)
class Random(Searcher):
    max_trials: MaxTrials = 10


@dataclass(frozen=True, kw_only=True)
class Sobol(Searcher):
    max_trials: MaxTrials = 10


@dataclass(frozen=True, kw_only=True)
class Bayesian(Searcher):
    max_trials: MaxTrials = 10
    num_initial_points: Annotated[
        int | None, Gt(0), "Trials spread evenly before scores count; None takes twice the hyperparameters, 6 to 12."
    ] = None


@dataclass(frozen=True, kw_only=True)
class Genetic(Searcher):
    objective: Annotated[Any, "What is optimized; a list of objectives is searched for its Pareto front."] = None
    max_trials: MaxTrials = 10
    population_size: Annotated[
        int | None, Ge(2), "Trials spread evenly at first, and that may be parents; None: twice the values, 8 to 20."
    ] = None
    offspring: Annotated[int, Gt(0), "Children bred for each trial, among which a model chooses; 1 has no model."] = 200
    tournament_size: Annotated[int, Gt(0), "How many of the population a parent is the best of."] = 3
    crossover_rate: Annotated[float, Ge(0), Le(1), "Share of the children that have two parents."] = 0.8
    mutation_rate: Annotated[
        float | None, Ge(0), Le(1), "Share of a child's values that mutate; None for one of them on average."
    ] = None


@dataclass(frozen=True, kw_only=True)
class Hyperband(Searcher):
    max_epochs: Annotated[int, Gt(0), "Epochs of the last round of a bracket."] = 100
    factor: Annotated[int, Ge(2), "By how much fewer trials, and more epochs, each round has."] = 3
    hyperband_iterations: Annotated[int, Gt(0), "How often all brackets are gone through."] = 1


@dataclass(frozen=True, kw_only=True)
class Population(Searcher):
    population: Annotated[int, Ge(2), "Members that are trained side by side."] = 12
    interval: Annotated[int, Gt(0), "Epochs of a generation."] = 1
    generations: Annotated[int, Gt(0), "Generations; all members are trained in each."] = 10
    resample: Annotated[float, Ge(0), Le(1), "Share of the values that a copied member draws anew."] = 0.25
    fixed: Annotated[
        Sequence[str], "Hyperparameters that give the weights their shape, such as widths; they go with the weights."
    ] = ()


@dataclass(frozen=True, kw_only=True)
class Optuna(Searcher):
    max_trials: MaxTrials = 10
    sampler: Annotated[
        Literal["tpe", "gp", "cmaes", "nsgaii", "random"], "Optuna's sampler; gp needs torch, cmaes needs cmaes."
    ] = "tpe"
