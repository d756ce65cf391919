"""Which of many children are worth a trial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfkit_searchers.encoding import Encoding
from tfkit_searchers.surrogate.belief import Belief
from tfkit_searchers.surrogate.improvement import log_improvement

_DOUBT = 1.0  # standard deviations by which a child is believed better than its mean
_SUM = 0.05  # weight of the sum beside the maximum, so that what is worse somewhere never wins (Knowles 2006)


def promised(
    encoding: Encoding, beliefs: Sequence[Belief], points: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The indices of points in the order of what they promise.

    For one objective that is the improvement to be expected. For several it is what is hoped for under a weighting
    that is drawn anew each time, so that all of the front is looked for.

    Args:
        encoding: Of the space.
        beliefs: What is believed of each objective.
        points: Of shape (points, axes).
        generator: For the weights.
    """
    features = encoding.features(points)
    found = [belief.posterior.at(features) for belief in beliefs]
    if len(beliefs) == 1:
        promise = log_improvement(beliefs[0].best, *found[0])[0]
        return np.argsort(-np.where(beliefs[0].is_open(features), promise, -np.inf), kind="stable")
    weights = generator.dirichlet(np.ones(len(beliefs)))
    hopes = np.stack([mean - _DOUBT * deviation - belief.best for belief, (mean, deviation) in zip(beliefs, found)])
    weighted = weights[:, None] * hopes
    return np.argsort(weighted.max(0) + _SUM * weighted.sum(0), kind="stable")
