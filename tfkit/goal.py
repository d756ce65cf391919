"""Goal: what a search is after, its objectives and constraints, and which of two results is nearer to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from tfkit.errors import ParameterError

# What is measured of a trial's model when an objective or a constraint names it, and never logged by Keras.
FIGURES = ("parameters", "flops", "bytes", "litert_bytes", "latency_ms", "litert_latency_ms")

# The least violation is 0, and so is that of what keeps to every bound.
Epoch = tuple[float, float, float]


@dataclass(frozen=True)
class Constraint:
    """A bound on what a trial reports.

    Attributes:
        name: Of a figure in `FIGURES`, or as Keras logs it.
        bound: The most that it may be, or the least.
        at_least: Whether the bound is the least.
    """

    name: str
    bound: float
    at_least: bool = False

    def excess(self, value: float) -> float:
        """How far a value is beyond the bound, as a share of the bound; negative where there is room.

        Example:
            >>> Constraint("bytes", 100.0).excess(150.0), Constraint("accuracy", 0.5, at_least=True).excess(1.0)
            (0.5, -1.0)
        """
        beyond = self.bound - value if self.at_least else value - self.bound
        return math.inf if math.isnan(beyond) else beyond / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        return f"{self.name} {'>=' if self.at_least else '<='} {self.bound:g}"


def constraints_of(given: Any) -> tuple[Constraint, ...]:
    """Constraints as they are written, checked.

    Args:
        given: Bounds by name: a number that is the most, or ("<=", number) or (">=", number). None for no constraint.

    Raises:
        ParameterError: A bound is of another form.

    Example:
        >>> [str(each) for each in constraints_of({"litert_bytes": 1_000, "val_accuracy": (">=", 0.9)})]
        ['litert_bytes <= 1000', 'val_accuracy >= 0.9']
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise ParameterError(f"constraints must be a dict of bounds by name, such as {{'bytes': 1e6}}; got {given!r}")
    return tuple(_constraint(name, bound) for name, bound in given.items())


def _constraint(name: Any, bound: Any) -> Constraint:
    sign, number = bound if isinstance(bound, (tuple, list)) and len(bound) == 2 else ("<=", bound)
    is_number = isinstance(number, Real) and not isinstance(number, bool) and math.isfinite(number)
    if not (isinstance(name, str) and name) or sign not in ("<=", ">=") or not is_number:
        raise ParameterError(
            f"the constraint on {name!r} must be a finite number, the most, or ('<=', number) or ('>=', number); "
            f"got {bound!r}"
        )
    return Constraint(name, float(number), sign == ">=")


@dataclass(frozen=True)
class Goal:
    """What a search is after.

    The first objective that Keras logs leads: it is the score, and says which epoch counts and which trial is best.

    Attributes:
        objectives: Each a name and "min" or "max".
        constraints: What a result must keep to.

    Example:
        >>> goal = Goal((("val_accuracy", "max"), ("bytes", "min")), constraints_of({"bytes": 900}))
        >>> goal.leading, goal.figures, goal.violation({"bytes": 1800.0})
        (('val_accuracy', 'max'), ('bytes',), 1.0)
    """

    objectives: tuple[tuple[str, str], ...]
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def of(cls, objective: Any, constraints: Sequence[Constraint] = ()) -> Goal:
        """The goal of a `keras_tuner.Objective`, which may hold several.

        Args:
            objective: The objective.
            constraints: The constraints.
        """
        several = getattr(objective, "objectives", [objective])
        return cls(tuple((each.name, each.direction) for each in several), tuple(constraints))

    @property
    def leading(self) -> tuple[str, str]:
        """The objective that is the score: its name and direction."""
        return next((each for each in self.objectives if each[0] not in FIGURES), self.objectives[0])

    @property
    def names(self) -> tuple[str, ...]:
        """All that a trial has to report."""
        told = [name for name, _ in self.objectives] + [each.name for each in self.constraints]
        return tuple(dict.fromkeys(told))

    @property
    def figures(self) -> tuple[str, ...]:
        """What is to be measured of a trial's model."""
        return tuple(name for name in FIGURES if name in self.names)

    @property
    def logged(self) -> tuple[str, ...]:
        """What Keras has to log."""
        return tuple(name for name in self.names if name not in FIGURES)

    def losses(self, reported: Mapping[str, float]) -> tuple[float, ...]:
        """A value for each objective, low where it is good: the opposites of what is to be large."""
        return tuple(_loss(reported[name], direction) for name, direction in self.objectives)

    def is_scored(self, reported: Mapping[str, float]) -> bool:
        """Whether every objective has a finite value."""
        return all(math.isfinite(reported.get(name, math.nan)) for name, _ in self.objectives)

    def violation(self, reported: Mapping[str, float]) -> float:
        """How far the bounds are exceeded, as shares of them, in sum; of what was not reported nothing is known."""
        return sum(max(0.0, excess) for excess in self._excesses(reported))

    def place(self, reported: Mapping[str, float]) -> Epoch:
        """What sorts the epochs of a trial, the best first: least violation, then least loss, then most room.

        Args:
            reported: What an epoch has reported; what is measured when all epochs have ended may be missing.
        """
        name, direction = self.leading
        loss = _loss(reported[name], direction) if name in reported else 0.0
        excesses = self._excesses(reported)
        return sum(max(0.0, excess) for excess in excesses), loss, sum(excesses)

    def front(self, reports: Sequence[Mapping[str, float]]) -> list[int]:
        """The indices of results that keep to every bound and that no other such result beats.

        Args:
            reports: What each has reported.
        """
        known = [(self.losses(each), number) for number, each in enumerate(reports) if self._may_be_best(each)]
        kept: list[tuple[tuple[float, ...], int]] = []
        for losses, number in sorted(known):  # what beats another one comes before it
            if not any(beats(each, losses) for each, _ in kept):
                kept.append((losses, number))
        return sorted(number for _, number in kept)

    def _may_be_best(self, reported: Mapping[str, float]) -> bool:
        return self.is_scored(reported) and self.violation(reported) == 0

    def _excesses(self, reported: Mapping[str, float]) -> list[float]:
        return [each.excess(reported[each.name]) for each in self.constraints if each.name in reported]


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether losses are nowhere worse than others, and better somewhere.

    Example:
        >>> beats((1.0, 2.0), (1.0, 3.0)), beats((1.0, 2.0), (1.0, 2.0)), beats((0.0, 4.0), (1.0, 3.0))
        (True, False, False)
    """
    return tuple(one) != tuple(other) and all(mine <= its for mine, its in zip(one, other))


def _loss(value: float, direction: str) -> float:
    return -value if direction == "max" else value
