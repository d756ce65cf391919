"""Search by one of Optuna's samplers."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from keras_tuner.engine.trial import Trial, TrialStatus
from optuna.trial import TrialState

from tfkit.errors import ParameterError
from tfkit_searchers import records, space
from tfkit_searchers.optuna_samplers.dimension import Dimension
from tfkit_searchers.oracle import DurableOracle
from tfkit_searchers.restored import id_of

_DRAWS = 100
_ASKS = 10  # of a sampler that repeats itself
_SAMPLERS: Mapping[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "nsgaii": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
_NEEDS = {"gp": ("scipy", "torch"), "cmaes": ("cmaes",)}
# These keep a state with the trials that they were asked for: they have to be asked again after an interruption.
_STATEFUL = ("cmaes", "nsgaii")
_STATES = {
    TrialStatus.COMPLETED: TrialState.COMPLETE,
    TrialStatus.FAILED: TrialState.FAIL,
    TrialStatus.INVALID: TrialState.RUNNING,  # until it has run again
    TrialStatus.RUNNING: TrialState.RUNNING,
}


@dataclass
class Replay:
    """A study of a sampler that keeps a state with its trials.

    Attributes:
        study: In memory.
        size: Of the space that it is for.
        asked: Optuna's trial and its values, by the number of ours.
        told: Numbers of the trials of which it knows how they ended.
    """

    study: optuna.Study
    size: int
    asked: dict[int, tuple[optuna.Trial, space.Values]] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)


class OptunaSearch(DurableOracle):
    """What one of Optuna's samplers suggests (Akiba et al. 2019), and never the same set twice.

    Optuna's study is in memory and made from the trials of this search, whose database stays the only truth. Scopes
    may be conditional. A list of objectives is optimized for its Pareto front by the samplers that can.

    Args:
        objective: As for `DurableOracle`, as are all others.
        max_trials: Trials in all; None goes on until every distinct set of active values was tried.
        sampler: "tpe" (multivariate, in groups), "gp" (needs torch), "cmaes" (needs cmaes), "nsgaii" or "random".
        **options: The arguments of `DurableOracle`.

    Raises:
        ParameterError: The sampler is for one objective, or there are constraints.
    """

    takes_constraints = False

    def __init__(
        self, objective: Any = None, max_trials: int | None = 10, sampler: str = "tpe", **options: Any
    ) -> None:
        for package in _NEEDS.get(sampler, ()):
            importlib.import_module(package)
        super().__init__(objective, max_trials, **options)
        self.sampler = sampler
        if sampler == "cmaes" and len(self.goal.objectives) > 1:
            raise ParameterError("the sampler 'cmaes' of searcher 'optuna' takes one objective: use 'tpe' or 'nsgaii'")
        optuna.logging.set_verbosity(optuna.logging.ERROR)

    def propose(self, number: int) -> space.Values | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            generator = self.generator(number)
            return self.first_new(self._candidates(number, generator), generator)

    def _candidates(self, number: int, generator: np.random.Generator) -> Iterator[space.Values]:
        if self.sampler in _STATEFUL:
            yield self._replayed(number)
        else:
            study = self._study()
            study.add_trials([self._entered(trial) for trial in self.trials.values()])
            study.sampler = self._seeded(number)
            for _ in range(_ASKS):
                yield self._suggested(study.ask())
        for _ in range(_DRAWS):
            yield space.drawn(self.hyperparameters.space, generator)

    def _replayed(self, number: int) -> space.Values:
        """What a sampler suggests that was asked for every trial before, and told how it ended."""
        if self._replay is None or self._replay.size != len(self.hyperparameters.space):
            self._replay = Replay(self._study(), len(self.hyperparameters.space))
        for each in range(number):
            self._ask(self._replay, each)
            self._tell(self._replay, each)
        return self._ask(self._replay, number)

    def _ask(self, replay: Replay, number: int) -> space.Values:
        if number not in replay.asked:
            replay.study.sampler = self._seeded(number)
            asked = replay.study.ask()
            replay.asked[number] = (asked, self._suggested(asked))
        return replay.asked[number][1]

    def _tell(self, replay: Replay, number: int) -> None:
        """Tells how a trial ended. Where other values were tried than those asked for, these are told of as failed."""
        trial = self.trials[id_of(number)]
        if number in replay.told or trial.status not in (TrialStatus.COMPLETED, TrialStatus.FAILED):
            return
        replay.told.add(number)
        asked, values = replay.asked[number]
        is_same = self._key(values) == self._key(trial.hyperparameters.values)
        if is_same and trial.status == TrialStatus.COMPLETED:
            replay.study.tell(asked, self._losses(trial))
        else:
            replay.study.tell(asked, state=TrialState.FAIL)
        if not is_same:
            replay.study.add_trial(self._entered(trial))

    def _study(self) -> optuna.Study:
        return optuna.create_study(directions=["minimize"] * len(self.goal.objectives))

    def _losses(self, trial: Trial) -> tuple[float, ...]:
        return self.losses(trial, records.figures(trial))

    def _seeded(self, number: int) -> optuna.samplers.BaseSampler:
        return _SAMPLERS[self.sampler](int(self.generator(number).integers(2**31)))

    def _suggested(self, asked: optuna.Trial) -> space.Values:
        dimensions = self._dimensions()
        return space.active_values(self.hyperparameters.space, lambda each: dimensions[id(each)].suggested(asked))

    def _entered(self, trial: Trial) -> optuna.trial.FrozenTrial:
        """A trial of this search as Optuna keeps it."""
        dimensions = self._dimensions()
        found: dict[Dimension, Any] = {}

        def inner(parameter: Any) -> Any:
            value = trial.hyperparameters.values.get(parameter.name, parameter.default)
            found[dimensions[id(parameter)]] = dimensions[id(parameter)].inner(value)
            return value

        space.active_values(self.hyperparameters.space, inner)
        return optuna.trial.create_trial(
            state=_STATES[trial.status],
            values=self._losses(trial) if trial.status == TrialStatus.COMPLETED else None,
            params={each.name: value for each, value in found.items()},
            distributions={each.name: each.distribution for each in found},
        )

    def _dimensions(self) -> dict[int, Dimension]:
        """By the identity of the hyperparameter."""
        parameters = self.hyperparameters.space
        if len(self._known) != len(parameters):
            self._known = {id(each): Dimension(each, f"{n} {each.name}") for n, each in enumerate(parameters)}
        return self._known

    def _forget(self) -> None:
        super()._forget()
        self._known: dict[int, Dimension] = {}
        self._replay: Replay | None = None
