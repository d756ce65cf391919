"""Split: weights by which requests go to the versions of a model."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import log

STICKY_HEADER = "X-Sticky-Key"
"""The HTTP header, or gRPC metadata, that keeps a caller on one label of a split."""


@dataclass(frozen=True)
class Split:
    """Weights of version labels.

    Attributes:
        labels: The labels.
        weights: Their weights, each ≥ 0, with a sum > 0.
    """

    labels: tuple[str, ...]
    weights: tuple[float, ...]

    def in_turn(self, key: str | None = None, draw: Callable[[], float] = random.random) -> list[str]:
        """The labels, drawn by weight one after the other: each takes its share of what those before it cannot.

        The same key gives the same order, in every process, and a label that goes or comes moves no key but its own.
        Labels of weight 0 are left out.

        Args:
            key: What keeps a caller on one label, such as a user's id; None or "" draws anew.
            draw: Gives a number in [0, 1) where there is no key.

        Example:
            >>> split = parse_split("stable=90,canary=10,off=0")
            >>> split.in_turn(draw=iter([0.5, 0.01]).__next__)
            ['canary', 'stable']
            >>> split.in_turn("user-1") == split.in_turn("user-1")
            True
        """
        # The least of exponential times whose rates are the weights is each label's with its share of them.
        times = [
            (-log(_fraction(key, label) if key else 1 - draw()) / weight, label)
            for label, weight in zip(self.labels, self.weights)
            if weight
        ]
        return [label for _, label in sorted(times)]


def parse_split(text: str) -> Split:
    """Reads `stable=90,canary=10`; the weights need no particular sum.

    Raises:
        ValueError: It is not of that form, a label is there twice, or all weights are 0.

    Example:
        >>> parse_split("stable=90,canary=10").weights
        (90.0, 10.0)
    """
    pairs = [each.partition("=") for each in text.split(",")]
    labels = tuple(label.strip() for label, _, _ in pairs)
    weights = tuple(_weight(value, text) for _, _, value in pairs)
    if not all(labels) or len(set(labels)) < len(labels):
        raise ValueError(f"{text!r}: each label takes a name of its own, as in stable=90,canary=10")
    if not sum(weights):
        raise ValueError(f"{text!r}: at least one weight must be above 0")
    return Split(labels, weights)


def by_model(texts: Iterable[str]) -> dict[str, str]:
    """What is said of each model: `digits:canary` is of one, `canary` of all others, under "".

    Raises:
        ValueError: A model is there twice.

    Example:
        >>> by_model(["digits:canary=1", "stable=1"])
        {'digits': 'canary=1', '': 'stable=1'}
    """
    found: dict[str, str] = {}
    for each in texts:
        model, _, text = (part.strip() for part in each.rpartition(":"))
        if model in found:
            raise ValueError(f"{each!r}: {model or 'all other models'} is there twice")
        found[model] = text
    return found


def _weight(value: str, text: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise ValueError(f"{text!r}: a weight must be a number ≥ 0, as in stable=90,canary=10; got {value!r}")
    return weight


def _fraction(key: str, label: str) -> float:
    """A number in (0, 1] that is uniform over keys, another for each label, and the same in every process."""
    digest = hashlib.sha256(f"{label}\0{key}".encode("utf-8", "surrogateescape")).digest()
    return (int.from_bytes(digest[:7], "big") + 1) / 2**56
