"""RoutingOptions: which models are split, and which have a shadow."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tfkit_serving.routing.split import Split, by_model, parse_split


@dataclass(frozen=True)
class ShadowShare:
    """A version that is asked a share of the requests too.

    Attributes:
        label: Its label, or its number.
        percent: The share, above 0 and up to 100.
    """

    label: str
    percent: float = 100.0

    def takes(self, draw: Callable[[], float] = random.random) -> bool:
        """Whether it is asked this request; `draw` gives a number in [0, 1)."""
        return draw() * 100 < self.percent


@dataclass(frozen=True)
class RoutingOptions:
    """Where requests go that name no version.

    Attributes:
        splits: Weights of version labels or numbers, by model; "" is for all others.
        shadows: What is asked too, by model; "" is for all others.
    """

    splits: Mapping[str, Split] = field(default_factory=dict)
    shadows: Mapping[str, ShadowShare] = field(default_factory=dict)

    def models(self) -> set[str]:
        """The models that are named."""
        return {*self.splits, *self.shadows} - {""}

    def split(self, model: str) -> Split | None:
        """The split of a model, or None."""
        return self.splits.get(model) or self.splits.get("")

    def shadow(self, model: str) -> ShadowShare | None:
        """The shadow of a model, or None."""
        return self.shadows.get(model) or self.shadows.get("")


def parse_splits(texts: Iterable[str]) -> dict[str, Split]:
    """Reads `digits:stable=90,canary=10` of a model, `stable=90,canary=10` of all others.

    Raises:
        ValueError: One is not of that form, or a model is there twice.

    Example:
        >>> parse_splits(["digits:stable=90,canary=10"])["digits"].labels
        ('stable', 'canary')
    """
    return {model: parse_split(text) for model, text in by_model(texts).items()}


def parse_shadows(texts: Iterable[str]) -> dict[str, ShadowShare]:
    """Reads `digits:canary` of a model, `canary` of all others, `canary=10` for 10 percent of the requests.

    Raises:
        ValueError: One is not of that form, or a model is there twice.

    Example:
        >>> parse_shadows(["digits:canary=10"])
        {'digits': ShadowShare(label='canary', percent=10.0)}
    """
    return {model: _shadow(text) for model, text in by_model(texts).items()}


def _shadow(text: str) -> ShadowShare:
    label, equals, percent = (part.strip() for part in text.partition("="))
    try:
        share = float(percent) if equals else 100.0
    except ValueError:
        share = 0.0
    if not label or "," in label or not 0 < share <= 100:
        raise ValueError(f"{text!r}: expected a label, or a label and a percentage up to 100, as in canary=10")
    return ShadowShare(label, share)
