"""Selection, crossover and mutation of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfkit_searchers.encoding import Encoding


@dataclass(frozen=True, kw_only=True)
class Breeding:
    """How children are made.

    Attributes:
        tournament: How many of the population a parent is the best of.
        crossover_rate: Share of the children that have two parents.
        mutation_rate: Share of the coordinates that mutate; None for one of a child's.
    """

    tournament: int = 3
    crossover_rate: float = 0.8
    mutation_rate: float | None = None


def children(
    encoding: Encoding, population: np.ndarray, count: int, breeding: Breeding, generator: np.random.Generator
) -> np.ndarray:
    """So many children of a population.

    Args:
        encoding: Of the space.
        population: Points, the best first, of shape (population, axes).
        count: How many.
        breeding: How.
        generator: For all that is random.
    """
    anew = encoding.drawn(generator.random((count, len(encoding.axes))))
    first, second = (population[each] for each in selected(len(population), count, breeding.tournament, generator))
    is_crossed = generator.random((count, 1)) < breeding.crossover_rate
    born = np.where(is_crossed, crossed(encoding, first, second, generator), first)
    # A coordinate that only the other parent has, as its scope is open there.
    born = np.where(np.isnan(born) & is_crossed, second, born)
    return encoding.settled(mutated(encoding, born, anew, breeding.mutation_rate, generator), anew)


def selected(size: int, count: int, tournament: int, generator: np.random.Generator) -> np.ndarray:
    """Places of two parents for each child, of shape (2, count): each the best of some that are drawn."""
    return generator.integers(size, size=(2, count, tournament)).min(-1)


def crossed(encoding: Encoding, first: np.ndarray, second: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Children that have each coordinate of one parent, or lie on the line through both.

    On the line, what goes together stays together; of a choice there is no between, so the nearer parent's counts.
    """
    shape = first.shape
    along = np.broadcast_to(generator.uniform(-0.5, 1.5, (shape[0], 1)), shape)
    uniform = (generator.random(shape) < 0.5).astype(float)
    share = np.where(generator.random((shape[0], 1)) < 0.5, along, uniform)
    share = np.where(categories(encoding), share > 0.5, share)
    return np.where(share == 0, first, np.where(share == 1, second, first + share * (second - first)))


def mutated(
    encoding: Encoding, points: np.ndarray, anew: np.ndarray, rate: float | None, generator: np.random.Generator
) -> np.ndarray:
    """Points some coordinates of which have changed: numbers by little or much, choices for another value.

    Args:
        encoding: Of the space.
        points: Of shape (points, axes).
        anew: Coordinates drawn from the whole space, of the same shape.
        rate: Share of the coordinates that change; None for one of a point's.
        generator: For all that is random.
    """
    axes = points.shape[1]
    is_hit = generator.random(points.shape) < (1 / axes if rate is None else rate)
    width = 10 ** generator.uniform(-3, -0.3, (len(points), 1))
    shifted = points + width * generator.standard_normal(points.shape)
    return np.where(is_hit, np.where(categories(encoding), anew, shifted), points)


def categories(encoding: Encoding) -> np.ndarray:
    """Which axes have values without an order."""
    return np.array([axis.is_category for axis in encoding.axes], bool)
