"""Which version label a request goes to: the one it names, or one drawn by weight."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Split:
    """Weights of version labels.

    Attributes:
        labels: The labels.
        weights: Their weights, each ≥ 0, with a sum > 0.
    """

    labels: tuple[str, ...]
    weights: tuple[float, ...]

    def pick(self, key: str | None = None, draw: Callable[[], float] = random.random) -> str:
        """A label: the same one for the same key, and without a key a random one.

        Args:
            key: What keeps a caller on one label, such as a user's id.
            draw: Gives a number in [0, 1) where there is no key.

        Example:
            >>> split = parse_split("stable=90,canary=10")
            >>> split.pick(draw=lambda: 0.89), split.pick(draw=lambda: 0.91)
            ('stable', 'canary')
            >>> split.pick("user-1") == split.pick("user-1")
            True
        """
        at = (draw() if key is None else _fraction(key)) * sum(self.weights)
        for label, end in zip(self.labels, accumulate(self.weights)):
            if at < end:
                return label
        return next(label for label, weight in zip(reversed(self.labels), reversed(self.weights)) if weight)


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
        raise ValueError(f"--split {text!r}: each label takes a name of its own, as in stable=90,canary=10")
    if not sum(weights):
        raise ValueError(f"--split {text!r}: at least one weight must be above 0")
    return Split(labels, weights)


def _weight(value: str, text: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise ValueError(f"--split {text!r}: a weight must be a number ≥ 0, as in stable=90,canary=10; got {value!r}")
    return weight


def _fraction(key: str) -> float:
    """A number in [0, 1) that is uniform over keys and the same in every process."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 2**56
