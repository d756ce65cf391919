"""ModelledOracle: an oracle that believes something of what it has not tried, by Gaussian processes of its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from threadpoolctl import ThreadpoolController

from tfkit_searchers import space
from tfkit_searchers.encoding import Encoding
from tfkit_searchers.oracle import DurableOracle
from tfkit_searchers.spread import spread
from tfkit_searchers.surrogate.belief import Belief, Seen, believed, fitted
from tfkit_searchers.surrogate.process import Kernel
from tfkit_searchers.surrogate.warp import warped

LEAST = 3  # completed trials that a belief takes
_DRAWS = 100
_SOBOL_STREAM = 2**32  # no trial has this number


class ModelledOracle(DurableOracle):
    """Proposes points spread evenly at first, then what a subclass finds promising, and nothing twice.

    Subclasses implement `initial` and `promising`. All here are functions of the trials alone, and so the same
    after an interruption.
    """

    def initial(self) -> int:
        """How many trials are spread evenly before scores count."""
        raise NotImplementedError

    def promising(self, number: int, done: Sequence[Trial], generator: np.random.Generator) -> np.ndarray:
        """Points in the order in which they are to be tried.

        Args:
            number: The trial's, counted from 0.
            done: The completed trials, at least three.
            generator: Of the trial.
        """
        raise NotImplementedError

    def propose(self, number: int) -> space.Values | None:
        generator = self.generator(number)
        return self.first_new(self._candidates(number, generator), generator)

    def beliefs(self, number: int, done: Sequence[Trial]) -> list[Belief]:
        """What is believed of each objective, to be minimized."""
        points, scores = self.points(done), self.losses(done)
        failed = self.points(self.with_status(TrialStatus.FAILED))
        pending = self.points(self.with_status(TrialStatus.RUNNING, TrialStatus.INVALID))
        return [
            believed(self.encoding(), kernel, Seen(points, warped(column), failed, pending))
            for kernel, column in zip(self._kernels(number, done), scores.T)
        ]

    def losses(self, trials: Sequence[Trial]) -> np.ndarray:
        """What is to be minimized, of shape (trials, 1): the scores of completed trials, or their opposites."""
        sign = -1.0 if self.objective.direction == "max" else 1.0
        return np.array([sign * trial.score for trial in trials], float).reshape(-1, 1)

    def with_status(self, *status: str) -> list[Trial]:
        """The trials of these states, in the order of creation."""
        return [trial for trial in self.trials.values() if trial.status in status]

    def points(self, trials: Sequence[Trial]) -> np.ndarray:
        """The points of trials, of shape (trials, axes)."""
        found = [self._point(trial) for trial in trials]
        return np.array(found).reshape(len(found), len(self.hyperparameters.space))

    def encoding(self) -> Encoding:
        """That of the space as it is now."""
        size = len(self.hyperparameters.space)
        if self._encoded is None or self._encoded[0] != size:
            self._encoded = (size, Encoding(self.hyperparameters.space))
            self._known = {}
        return self._encoded[1]

    def _candidates(self, number: int, generator: np.random.Generator) -> Iterator[space.Values]:
        """Sets of values, the best first; the last ones are drawn at random."""
        parameters = self.hyperparameters.space
        done = self.with_status(TrialStatus.COMPLETED)
        if number < self.initial() or len(done) < LEAST:
            yield from spread(parameters, self.generator(_SOBOL_STREAM), number, 1)
        elif len(self.encoding().axis_of):
            # For matrices so small, threads cost more than they bring, most of all on cores that are busy.
            with _threadpools().limit(limits=1, user_api="blas"):
                promising = self.promising(number, done, generator)
            yield from map(self.encoding().values, promising)
        for _ in range(_DRAWS):
            yield space.drawn(parameters, generator)

    def _kernels(self, number: int, done: Sequence[Trial]) -> list[Kernel]:
        """Fitted to the trials before a number that grows in steps.

        One trial more changes little where there are many.
        """
        before = number - number % max(1, number // 25)
        some = [trial for trial in done if int(trial.trial_id) < before]
        some = done if len(some) < LEAST else some
        told = (len(self.hyperparameters.space), *(trial.trial_id for trial in some))
        if self._fitted is None or self._fitted[0] != told:
            points, scores = self.points(some), self.losses(some)
            self._fitted = (told, [fitted(self.encoding(), points, column) for column in scores.T])
        return self._fitted[1]

    def _point(self, trial: Trial) -> np.ndarray:
        encoding = self.encoding()
        if trial.trial_id in self._known:
            return self._known[trial.trial_id]
        point = encoding.point(space.completed(self.hyperparameters.space, trial.hyperparameters.values))
        if trial.status in (TrialStatus.COMPLETED, TrialStatus.FAILED):  # until then its values may change
            self._known[trial.trial_id] = point
        return point

    def _forget(self) -> None:
        super()._forget()
        self._encoded: tuple[int, Encoding] | None = None
        self._known: dict[str, np.ndarray] = {}  # points, by the id of the trial
        self._fitted: tuple[tuple[Any, ...], list[Kernel]] | None = None  # with the trials they are fitted to


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()  # looking for them takes milliseconds
