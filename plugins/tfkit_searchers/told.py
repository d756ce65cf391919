"""What the trials so far tell a model: where they were, how good, and which keep to the bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from keras_tuner.engine.trial import Trial

_SUM = 0.05  # weight of the sum beside the maximum, so that what is worse somewhere never wins (Knowles 2006)


@dataclass(frozen=True)
class Told:
    """Trials of which the losses are known.

    Attributes:
        trials: The trials; those of an earlier search first.
        losses: To be minimized, of shape (trials, objectives).
        violations: By how much each exceeds the bounds, of shape (trials,).
        own: Which are of this search.
    """

    trials: Sequence[Trial]
    losses: np.ndarray
    violations: np.ndarray
    own: np.ndarray

    @property
    def feasible(self) -> np.ndarray:
        """Which keep to all bounds."""
        return self.violations == 0


def weighted(losses: np.ndarray, front: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Several losses as one: the augmented Chebyshev distance from the best of each (Knowles, "ParEGO", 2006).

    Args:
        losses: Of shape (trials, objectives).
        front: Which trials none beats: each loss counts in units of their range, so that outliers do no harm.
        weights: Of each objective, in sum 1.

    Returns:
        Of shape (trials, 1).

    Example:
        >>> losses = np.array([[0.0, 10.0], [1.0, 0.0], [5.0, 30.0]])
        >>> weighted(losses, np.array([True, True, False]), np.array([0.5, 0.5])).ravel()
        array([0.525, 0.525, 2.7  ])
    """
    low, high = losses[front].min(0), losses[front].max(0)
    spread = np.where(high > low, high - low, np.maximum(np.ptp(losses, axis=0), 1e-12))
    return chebyshev(weights * (losses - low) / spread)[:, None]


def chebyshev(parts: np.ndarray) -> np.ndarray:
    """The largest of weighted losses, and a little of their sum.

    Args:
        parts: Of shape (trials, objectives).
    """
    return parts.max(1) + _SUM * parts.sum(1)
