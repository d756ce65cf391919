"""TriedOracle: which values were tried, and which somebody wants to be tried before all others."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfkit.errors import ParameterError, SearchError
from tfkit_searchers import space
from tfkit_searchers.earlier import Result, fitting
from tfkit_searchers.enqueued import checked
from tfkit_searchers.ranked import RankedOracle

_TRIED_AGAIN = 5  # the best of an earlier search


class TriedOracle(RankedOracle):
    """A ranked oracle that tries no set of values twice, and takes values from outside."""

    # Whether what is proposed rests on the scores of `known()` too.
    learns = False

    def is_tried(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial has the same active values."""
        return self._key(values) in self._tried()

    def first_new(self, candidates: Iterable[space.Values], generator: np.random.Generator) -> space.Values | None:
        """The first set of values that was not tried.

        Args:
            candidates: What comes first; where all of it was tried, everything else is gone through.
            generator: Where everything is gone through, it says from where on.
        """
        rest = space.combinations(self.hyperparameters.space, space.shuffled_levels(generator))
        return next((values for values in itertools.chain(candidates, rest) if not self.is_tried(values)), None)

    def enqueue(self, values: Mapping[str, Any]) -> None:
        """Has values tried before any that are proposed; those that were tried already, or wait, are left out.

        Args:
            values: By the names of hyperparameters; those left out take their defaults.

        Raises:
            ParameterError: The space does not hold them, or the searcher trains trials further and plans them all.
        """
        with self._lock:
            self._open()
            self._check_open_plan("enqueue")
            whole = checked(self.hyperparameters.space, values)
            if not self.is_tried(whole) and whole not in self._waiting:
                self._store_waiting([*self._waiting, whole])

    def inform(self, results: Iterable[Result]) -> int | None:
        """Tells of an earlier search's results, once: an oracle that goes on keeps to those that it was told first.

        A searcher that models scores takes them for its own, and they count as no trials; any other one tries the best
        five again.

        Args:
            results: Values by the names of hyperparameters, and what a trial with them has reported.

        Returns:
            How many fit this search: the space holds their values, and all that the goal names was reported. None
            where it was told before.

        Raises:
            ParameterError: The searcher trains trials further and plans them all.
            SearchError: There are trials already.
        """
        with self._lock:
            self._open()
            self._check_open_plan("warm_start")
            if self.is_informed:
                return None
            if self.trials:
                raise SearchError(
                    "this search has begun without what an earlier one knows: leave out warm_start, or search in "
                    "another directory"
                )
            taken = list(fitting(self.hyperparameters.space, self.goal, results))
            if self.learns:
                self._store_earlier(taken)
                return len(taken)
            for values, _ in sorted(taken, key=lambda each: self.goal.place(each[1]))[:_TRIED_AGAIN]:
                self.enqueue(values)
            self._store_earlier([])
            return len(taken)

    def _check_open_plan(self, argument: str) -> None:
        if getattr(self, "continues", False):
            raise ParameterError(f"{type(self).__name__} plans all of its trials: leave out {argument}")

    def _tried(self) -> set[str]:
        """The keys of all trials, under the space as it is now."""
        if self._tried_in != len(self.hyperparameters.space):
            self._tried_in = len(self.hyperparameters.space)
            self._tried_so_far = {self._key(each.hyperparameters.values) for each in self.trials.values()}
        return self._tried_so_far

    def _key(self, values: Mapping[str, Any]) -> str:
        return space.key(self.hyperparameters.space, values)

    def _forget(self) -> None:
        super()._forget()
        self._tried_in = -1  # the size of the space for which _tried_so_far holds
