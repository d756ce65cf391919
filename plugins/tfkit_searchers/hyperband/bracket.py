"""One bracket: rounds of successive halving."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from keras_tuner.engine.trial import Trial

from tfkit.errors import SearchError
from tfkit_searchers.continued import ENDED, TRIAL_ID, best_first
from tfkit_searchers.hyperband.plan import Plan

BRACKET, ROUND = "tuner/bracket", "tuner/round"


@dataclass
class Bracket:
    """The trials of a bracket.

    Attributes:
        plan: Sizes and epochs.
        number: Its number in the plan: how many times it halves.
        is_closed: Whether the first round gets no more trials, though it has room: the space has no more.
        rounds: The trials of each round.
    """

    plan: Plan
    number: int
    is_closed: bool = False
    rounds: list[list[Trial]] = field(init=False)

    def __post_init__(self) -> None:
        self.rounds = [[] for _ in range(self.number + 1)]

    def has_room(self) -> bool:
        """Whether its first round takes more configurations."""
        return len(self.rounds[0]) < self.plan.size(self.number, 0)

    def promoted(self, round_: int, direction: str) -> list[Trial]:
        """The trials of a round that are to go on, the best first; none before all of it has ended.

        Where the round is smaller than planned, as the space had no more, so is the share that goes on.
        """
        trials = self.rounds[round_]
        if not self._is_over(round_, direction):
            return []
        share = self.plan.size(self.number, round_ + 1) / self.plan.size(self.number, round_)
        return best_first(trials, direction)[: math.ceil(round(len(trials) * share, 9))]

    def due(self, direction: str) -> tuple[int, Trial] | None:
        """The next trial that is to go on, and the round that it goes to."""
        for round_ in range(self.number):
            gone = {trial.hyperparameters.values[TRIAL_ID] for trial in self.rounds[round_ + 1]}
            for trial in self.promoted(round_, direction):
                if trial.trial_id not in gone:
                    return round_ + 1, trial
        return None

    def needed(self, direction: str) -> set[str]:
        """Ids of the trials that are still to be trained further, or may be."""
        found: set[str] = set()
        for round_ in range(self.number):
            over = {
                trial.hyperparameters.values[TRIAL_ID] for trial in self.rounds[round_ + 1] if trial.status in ENDED
            }
            is_over = self._is_over(round_, direction)
            open_ = self.promoted(round_, direction) if is_over else self.rounds[round_]
            found |= {trial.trial_id for trial in open_ if trial.trial_id not in over}
        return found

    def _is_over(self, round_: int, direction: str) -> bool:
        trials = self.rounds[round_]
        if not trials or not all(trial.status in ENDED for trial in trials):
            return False
        if round_ == 0:
            return self.is_closed or not self.has_room() or bool(self.rounds[1])
        return len(trials) == len(self.promoted(round_ - 1, direction))


def replayed(plan: Plan, iterations: int, trials: Iterable[Trial]) -> list[Bracket]:
    """All brackets that there will be, with the trials so far.

    Args:
        plan: Sizes and epochs.
        iterations: How often the plan is gone through.
        trials: In the order of their creation, which says which iteration they are of.

    Raises:
        SearchError: They are of another plan.
    """
    found = [Bracket(plan, number) for _ in range(iterations) for number in plan.brackets]
    home: dict[str, Bracket] = {}
    for trial in trials:
        values = trial.hyperparameters.values
        if TRIAL_ID in values:
            home[trial.trial_id] = home[values[TRIAL_ID]]
        else:
            home[trial.trial_id] = _with_room(found, values.get(BRACKET), trial)
        home[trial.trial_id].rounds[values[ROUND]].append(trial)
    return found


def _with_room(brackets: Iterable[Bracket], number: int, trial: Trial) -> Bracket:
    for bracket in brackets:
        if bracket.number == number and bracket.has_room():
            return bracket
    raise SearchError(
        f"trial {trial.trial_id} is of a bracket {number} that is not planned: go on with the max_epochs, factor "
        "and hyperband_iterations that the search was begun with, or search in another directory"
    )
