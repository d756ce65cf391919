"""Hyperband."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial

from tfkit_searchers import space
from tfkit_searchers.continued import trained
from tfkit_searchers.hyperband.bracket import Bracket, replayed
from tfkit_searchers.hyperband.plan import Plan
from tfkit_searchers.oracle import DurableOracle

_DRAWS = 100


class HyperbandSearch(DurableOracle):
    """Many configurations for a few epochs, the best of them for more (Li et al. 2018).

    A bracket begins with configurations drawn at random, none twice. When all trials of a round have ended, the best
    ones are trained further, each as a trial of its own; its values say so as KerasTuner's do: from
    `tuner/initial_epoch` to `tuner/epochs`, with the weights of `tuner/trial_id`. Later brackets begin with fewer
    configurations and more epochs. The search ends with the last bracket, or where no values are left.

    Args:
        objective: As for `DurableOracle`, as are all others.
        max_trials: Trials in all; None runs all brackets.
        max_epochs: Epochs of the last round of a bracket.
        factor: By how much fewer configurations, and more epochs, each round has than the one before.
        hyperband_iterations: How often all brackets are gone through.
        **options: The arguments of `DurableOracle`.

    Attributes:
        continues: True: trials may begin with the final weights of others.

    Raises:
        SearchError: While searching: the trials so far are of another plan.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        >>> oracle = HyperbandSearch("val_loss", max_epochs=4, factor=4, hyperparameters=hp, seed=0)
        >>> oracle.verbose = 0
        >>> for _ in range(4):
        ...     trial = oracle.create_trial("me")
        ...     _ = oracle.update_trial(trial.trial_id, {"val_loss": trial.hyperparameters.get("rate")})
        ...     trial.status = "COMPLETED"
        ...     oracle.end_trial(trial)
        >>> values = oracle.create_trial("me").hyperparameters.values
        >>> values["tuner/trial_id"] == oracle.get_best_trials()[0].trial_id, values["tuner/epochs"]
        (True, 4)
    """

    continues = True
    takes_constraints = False

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        **options: Any,
    ) -> None:
        self.max_epochs, self.factor, self.hyperband_iterations = max_epochs, factor, hyperband_iterations
        super().__init__(objective, max_trials, **options)

    def needed(self) -> set[str]:
        """Ids of the trials whose final weights may still be trained further."""
        with self._lock:
            self._open()
            return set().union(*(each.needed(self.objective.direction) for each in self._brackets()))

    def propose(self, number: int) -> space.Values | None:
        is_exhausted = False
        for bracket in self._brackets():
            if bracket.has_room() and not is_exhausted:
                values = self._begun(number, bracket)
                if values is not None:
                    return values
                is_exhausted = True
            bracket.is_closed = is_exhausted
            due = bracket.due(self.objective.direction)
            if due is not None:
                return self._continued(bracket, *due)
        return None

    def _begun(self, number: int, bracket: Bracket) -> space.Values | None:
        generator = self.generator(number)
        values = self.first_new(self._candidates(generator), generator)
        if values is None:
            return None
        return trained(values, bracket.plan.epochs(bracket.number, 0), bracket=bracket.number, round=0)

    def _candidates(self, generator: np.random.Generator) -> Iterator[space.Values]:
        return (space.drawn(self.hyperparameters.space, generator) for _ in range(_DRAWS))

    def _continued(self, bracket: Bracket, round_: int, parent: Trial) -> space.Values:
        epochs, before = (bracket.plan.epochs(bracket.number, each) for each in (round_, round_ - 1))
        values = parent.hyperparameters.values
        return trained(values, epochs, before, parent, bracket=bracket.number, round=round_)

    def _brackets(self) -> list[Bracket]:
        plan = Plan(self.max_epochs, self.factor)
        return replayed(plan, self.hyperband_iterations, self.trials.values())
