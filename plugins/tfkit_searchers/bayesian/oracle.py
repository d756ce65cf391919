"""Bayesian search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from scipy.stats import qmc
from threadpoolctl import ThreadpoolController

from tfkit_searchers import space
from tfkit_searchers.bayesian import acquire
from tfkit_searchers.bayesian.belief import Seen, believed, fitted, is_stalled
from tfkit_searchers.bayesian.encoding import Encoding
from tfkit_searchers.bayesian.process import Kernel
from tfkit_searchers.bayesian.warp import warped
from tfkit_searchers.levels import sample
from tfkit_searchers.oracle import DurableOracle

_LEAST = 3  # completed trials that a belief takes
_DRAWS = 100
_SOBOL_STREAM = 2**32  # no trial has this number


class BayesianSearch(DurableOracle):
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

    def propose(self, number: int) -> space.Values | None:
        generator = self.generator(number)
        for values in self._candidates(number, generator):
            if not self.is_tried(values):
                return values
        rest = space.combinations(self.hyperparameters.space, space.shuffled_levels(generator))
        return next((values for values in rest if not self.is_tried(values)), None)

    def _candidates(self, number: int, generator: np.random.Generator) -> Iterator[space.Values]:
        """Sets of values, the best first; the last ones are drawn at random."""
        parameters = self.hyperparameters.space
        done = self._with_status(TrialStatus.COMPLETED)
        if number < self._initial() or len(done) < _LEAST:
            yield self._spread(number)
        else:
            # For matrices so small, threads cost more than they bring, most of all on cores that are busy.
            with _threadpools().limit(limits=1, user_api="blas"):
                promising = self._promising(number, done, generator)
            yield from map(self._encoding().values, promising)
        for _ in range(_DRAWS):
            yield space.drawn(parameters, generator)

    def _initial(self) -> int:
        if self.num_initial_points is not None:
            return self.num_initial_points
        return min(max(2 * len(self.hyperparameters.space), 6), 12)

    def _spread(self, number: int) -> space.Values:
        """One of Sobol's points."""
        parameters = self.hyperparameters.space
        if not parameters:
            return {}
        sobol = qmc.Sobol(len(parameters), rng=self.generator(_SOBOL_STREAM))
        if number:
            sobol.fast_forward(number)
        probabilities = dict(zip(map(id, parameters), sobol.random(1)[0]))
        return space.active_values(parameters, lambda each: sample(each, probabilities[id(each)]))

    def _promising(self, number: int, done: Sequence[Trial], generator: np.random.Generator) -> np.ndarray:
        encoding = self._encoding()
        seen = Seen(
            self._points(done),
            warped(self._scores(done)),
            self._points(self._with_status(TrialStatus.FAILED)),
            self._points(self._with_status(TrialStatus.RUNNING, TrialStatus.INVALID)),
        )
        if not len(encoding.axis_of):
            return seen.done[:0]
        belief = believed(encoding, self._kernel(number, done), seen)
        if number % 2 and is_stalled(seen.targets):
            belief = belief.elsewhere(encoding)
        promise = acquire.Promise(encoding, belief)
        return acquire.ranked(encoding, promise, belief.centers, generator)

    def _kernel(self, number: int, done: Sequence[Trial]) -> Kernel:
        """Fitted to the trials before a number that grows in steps: one trial more changes little where there are many.

        It is a function of the trials alone, and so the same after an interruption.
        """
        before = number - number % max(1, number // 25)
        some = [trial for trial in done if int(trial.trial_id) < before]
        some = done if len(some) < _LEAST else some
        told = (len(self.hyperparameters.space), *(trial.trial_id for trial in some))
        if self._fitted is None or self._fitted[0] != told:
            self._fitted = (told, fitted(self._encoding(), self._points(some), self._scores(some)))
        return self._fitted[1]

    def _with_status(self, *status: str) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.status in status]

    def _scores(self, trials: Sequence[Trial]) -> np.ndarray:
        sign = -1.0 if self.objective.direction == "max" else 1.0
        return sign * np.array([trial.score for trial in trials])

    def _points(self, trials: Sequence[Trial]) -> np.ndarray:
        found = [self._point(trial) for trial in trials]
        return np.array(found).reshape(len(found), len(self.hyperparameters.space))

    def _point(self, trial: Trial) -> np.ndarray:
        encoding = self._encoding()
        if trial.trial_id in self._known:
            return self._known[trial.trial_id]
        point = encoding.point(space.completed(self.hyperparameters.space, trial.hyperparameters.values))
        if trial.status in (TrialStatus.COMPLETED, TrialStatus.FAILED):  # until then its values may change
            self._known[trial.trial_id] = point
        return point

    def _encoding(self) -> Encoding:
        """Of the space as it is now."""
        size = len(self.hyperparameters.space)
        if self._encoded is None or self._encoded[0] != size:
            self._encoded = (size, Encoding(self.hyperparameters.space))
            self._known = {}
        return self._encoded[1]

    def _forget(self) -> None:
        super()._forget()
        self._encoded: tuple[int, Encoding] | None = None
        self._known: dict[str, np.ndarray] = {}  # points, by the id of the trial
        self._fitted: tuple[tuple[Any, ...], Kernel] | None = None  # with the trials that it is fitted to


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()
