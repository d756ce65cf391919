"""How many configurations Hyperband trains, and for how many epochs (Li et al., "Hyperband", 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Plan:
    """The brackets of one iteration, as KerasTuner counts them.

    Attributes:
        max_epochs: Epochs of the last round of each bracket.
        factor: By how much fewer configurations, and more epochs, each round has than the one before.

    Example:
        >>> plan = Plan(max_epochs=9, factor=3)
        >>> [[(plan.size(b, r), plan.epochs(b, r)) for r in range(b + 1)] for b in plan.brackets]
        [[(9, 1), (3, 3), (1, 9)], [(5, 3), (2, 9)], [(3, 9)]]
    """

    max_epochs: int
    factor: int

    @property
    def brackets(self) -> range:
        """The numbers of the brackets, the one that halves most first; one more is how many rounds it has."""
        count = 0
        while self.factor ** (count + 1) <= self.max_epochs:
            count += 1
        return range(count, -1, -1)

    def size(self, bracket: int, round_: int) -> int:
        """How many configurations a round has."""
        last = math.ceil(1 + round(math.log(self.max_epochs, self.factor), 9))
        return math.ceil(Fraction(last, bracket + 1) * self.factor ** (bracket - round_))

    def epochs(self, bracket: int, round_: int) -> int:
        """How many epochs a round has trained for when it ends; 0 before the first."""
        return 0 if round_ < 0 else math.ceil(Fraction(self.max_epochs, self.factor ** (bracket - round_)))
