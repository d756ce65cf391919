"""ModelledOracle: an oracle that believes something of what it has not tried, by Gaussian processes of its scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from threadpoolctl import ThreadpoolController

from tfkit.goal import Constraint
from tfkit_searchers import records, space
from tfkit_searchers.encoding import Encoding
from tfkit_searchers.oracle import DurableOracle
from tfkit_searchers.spread import spread
from tfkit_searchers.surrogate.belief import Belief, Seen, believed, fitted, is_stalled
from tfkit_searchers.surrogate.limit import Limit, limited
from tfkit_searchers.surrogate.process import Kernel
from tfkit_searchers.surrogate.warp import warped
from tfkit_searchers.told import Told

LEAST = 3  # completed trials that a belief takes
_FAR = 1e9  # a violation that is no more told from larger ones
_DRAWS = 100
_SOBOL_STREAM = 2**32  # no trial has this number


class ModelledOracle(DurableOracle):
    """Proposes points spread evenly at first, then what a subclass finds promising, and nothing twice.

    Subclasses implement `initial` and `promising`. All here are functions of the trials alone, and so the same
    after an interruption.
    """

    learns = True

    def initial(self) -> int:
        """How many trials are spread evenly before scores count."""
        raise NotImplementedError

    def promising(self, number: int, told: Told, generator: np.random.Generator) -> np.ndarray:
        """Points in the order in which they are to be tried.

        Args:
            number: The trial's, counted from 0.
            told: What at least three trials tell.
            generator: Of the trial.
        """
        raise NotImplementedError

    def propose(self, number: int) -> space.Values | None:
        generator = self.generator(number)
        return self.first_new(self._candidates(number, generator), generator)

    def told(self) -> Told:
        """What the trials tell: their losses, or how far each is from the bounds while next to none keeps to them."""
        known = [*self.known(), *self.with_status(TrialStatus.COMPLETED)]
        for trial in known:
            if trial.trial_id not in self._reports:
                self._reports[trial.trial_id] = records.figures(trial)
        reports = [self._reports[trial.trial_id] for trial in known]
        violations = np.array([self.goal.violation(each) for each in reports], float)
        scored = np.array([self._is_scored(*each) for each in zip(known, reports)], bool)
        own = np.array([trial.trial_id in self.trials for trial in known], bool)
        if self.goal.constraints and (scored.sum() < LEAST or not (violations == 0).any()):
            violations = np.minimum(self._feared(violations, scored, reports), _FAR)
            return Told(known, violations[:, None], violations, own)
        losses = [self.losses(*each) for each, is_scored in zip(zip(known, reports), scored) if is_scored]
        trials = [trial for trial, is_scored in zip(known, scored) if is_scored]
        shaped = np.array(losses, float).reshape(len(losses), len(self.goal.objectives))
        return Told(trials, shaped, violations[scored], own[scored])

    def beliefs(self, number: int, told: Told) -> list[Belief]:
        """What is believed of each loss."""
        points = self.points(told.trials)
        failed = self.points(self.with_status(TrialStatus.FAILED))
        pending = self.points(self.with_status(TrialStatus.RUNNING, TrialStatus.INVALID))
        is_feasible = told.feasible if told.feasible.any() else np.ones(len(points), bool)
        return [
            believed(self.encoding(), kernel, Seen(points, warped(column), failed, pending, is_feasible, told.own))
            for kernel, column in zip(self._kernels(number, told.trials, told.losses), told.losses.T)
        ]

    def limits(self, number: int, told: Told) -> list[Limit]:
        """What is believed of each bound; nothing while no trial keeps to all of them, and their violation counts."""
        return [self._limit(number, each) for each in self.goal.constraints] if told.feasible.any() else []

    def is_stalled(self, told: Told) -> bool:
        """Whether the latest trials have brought next to nothing."""
        losses = told.losses[told.feasible, 0]
        return len(losses) > 0 and is_stalled(warped(losses))

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
        told = self.told()
        if number + len(self.known()) < self.initial() or len(told.trials) < LEAST:
            yield from spread(parameters, self.generator(_SOBOL_STREAM), number, 1)
        elif len(self.encoding().axis_of):
            # For matrices so small, threads cost more than they bring, most of all on cores that are busy.
            with _threadpools().limit(limits=1, user_api="blas"):
                promising = self.promising(number, told, generator)
            yield from map(self.encoding().values, promising)
        for _ in range(_DRAWS):
            yield space.drawn(parameters, generator)

    def _is_scored(self, trial: Trial, reported: Mapping[str, float]) -> bool:
        return (self.is_scored_alone and trial.score is not None) or self.goal.is_scored(reported)

    def _feared(self, violations: np.ndarray, scored: np.ndarray, reports: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Violations, those of trials that were not worth training no less than they may be.

        Of these some bounded figures are not known: they count as the worst trial that was trained.
        """
        names = {each.name for each in self.goal.constraints}
        lacking = ~scored & np.array([not names <= each.keys() for each in reports], bool)
        return violations + np.where(lacking, violations[scored].max(initial=0.0), 0.0)

    def _limit(self, number: int, constraint: Constraint) -> Limit:
        reported = [
            (trial, self._reports.get(trial.trial_id, {}))
            for trial in [*self.known(), *self.with_status(TrialStatus.COMPLETED)]
        ]
        known = [
            (trial, constraint.excess(each[constraint.name])) for trial, each in reported if constraint.name in each
        ]
        known = [(trial, excess) for trial, excess in known if math.isfinite(excess)]
        trials, excesses = [trial for trial, _ in known], np.array([excess for _, excess in known])
        (kernel,) = self._kernels(number, trials, excesses[:, None], constraint.name)
        return limited(self.encoding(), kernel, self.points(trials), excesses)

    def _kernels(self, number: int, trials: Sequence[Trial], losses: np.ndarray, of: str = "") -> list[Kernel]:
        """Fitted to the trials before a number that grows in steps.

        One trial more changes little where there are many.

        Args:
            number: Of the trial that is proposed.
            trials: What is known.
            losses: Of shape (trials, columns): a kernel for each column.
            of: What the losses are of.
        """
        before = number - number % max(1, number // 25)
        some = [
            place
            for place, trial in enumerate(trials)
            if trial.trial_id not in self.trials or int(trial.trial_id) < before
        ]
        some = list(range(len(trials))) if len(some) < LEAST else some
        few = [trials[place] for place in some]
        told = (len(self.hyperparameters.space), losses[some].tobytes(), *(trial.trial_id for trial in few))
        if of not in self._fitted or self._fitted[of][0] != told:
            points = self.points(few)
            self._fitted[of] = (told, [fitted(self.encoding(), points, column) for column in losses[some].T])
        return self._fitted[of][1]

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
        self._reports: dict[str, dict[str, float]] = {}  # by the id of a trial that was completed
        # Of the losses and of each constraint, with what the kernels are fitted to.
        self._fitted: dict[str, tuple[tuple[Any, ...], list[Kernel]]] = {}


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()  # looking for them takes milliseconds
