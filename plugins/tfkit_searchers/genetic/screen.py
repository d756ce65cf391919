"""Which of many children are worth a trial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfkit_searchers.encoding import Encoding
from tfkit_searchers.surrogate.belief import Belief
from tfkit_searchers.surrogate.improvement import log_improvement
from tfkit_searchers.surrogate.limit import Limit, log_feasible
from tfkit_searchers.told import chebyshev

_DOUBT = 1.0  # standard deviations by which a child is believed better than its mean


def promised(
    encoding: Encoding,
    beliefs: Sequence[Belief],
    limits: list[Limit],
    points: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """The indices of points in the order of what they promise.

    For one objective that is the improvement to be expected. For several it is what is hoped for under a weighting
    that is drawn anew each time, so that all of the front is looked for. What is likely to exceed a bound promises
    less by the logarithm of how likely.

    Args:
        encoding: Of the space.
        beliefs: What is believed of each objective.
        limits: What is believed of each bound.
        points: Of shape (points, axes).
        generator: For the weights.
    """
    features = encoding.features(points)
    found = [belief.posterior.at(features) for belief in beliefs]
    kept = log_feasible(limits, features)
    if len(beliefs) == 1:
        promise = log_improvement(beliefs[0].best, *found[0])[0] + kept
        return np.argsort(-np.where(beliefs[0].is_open(features), promise, -np.inf), kind="stable")
    weights = generator.dirichlet(np.ones(len(beliefs)))
    hopes = [mean - _DOUBT * deviation - belief.best for belief, (mean, deviation) in zip(beliefs, found)]
    return np.argsort(chebyshev(weights * np.stack(hopes, axis=1)) - kept, kind="stable")
