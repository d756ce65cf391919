"""What the trials so far make one believe of a bound: how likely each point is to keep to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from tfkit_searchers.encoding import Encoding
from tfkit_searchers.surrogate.process import Kernel, Posterior
from tfkit_searchers.surrogate.thin import kept
from tfkit_searchers.surrogate.warp import warped

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_MOST = 250


@dataclass(frozen=True)
class Limit:
    """A bound and what is believed of the figure that it is on.

    Attributes:
        posterior: Of the warped figure.
        bound: The most that it may be, warped alike.
    """

    posterior: Posterior
    bound: float

    def log_probability(self, features: np.ndarray) -> np.ndarray:
        """The logarithm of the probability that points keep to the bound (Gardner et al. 2014)."""
        mean, deviation = self.posterior.at(features)
        return log_ndtr((self.bound - mean) / deviation)

    def slopes(self, features: np.ndarray) -> np.ndarray:
        """The derivatives of that by the features."""
        mean, deviation, by_mean, by_deviation = self.posterior.slopes_at(features)
        z = (self.bound - mean) / deviation
        rate = np.exp(-0.5 * z * z - _HALF_LOG_2PI - log_ndtr(z))
        return -(rate / deviation)[:, None] * (by_mean + z[:, None] * by_deviation)


def limited(encoding: Encoding, kernel: Kernel, points: np.ndarray, excesses: np.ndarray) -> Limit:
    """Conditions on every trial of which the figure is known.

    Args:
        encoding: Of the space.
        kernel: Fitted to the warped excesses.
        points: Of shape (trials, axes).
        excesses: By how much each exceeds the bound, finite; at most 0 where it keeps to it.
    """
    *images, bound = warped(np.append(excesses, 0.0))
    targets, features = np.array(images), encoding.features(points)
    # What is near the bound says the most of where it runs.
    few = kept(features, np.abs(targets - bound), _MOST)
    return Limit(Posterior(kernel, features[few], targets[few]), float(bound))


def log_feasible(limits: list[Limit], features: np.ndarray) -> np.ndarray:
    """The logarithm of the probability that points keep to all bounds; 0 where there are none."""
    return sum((limit.log_probability(features) for limit in limits), np.zeros(len(features)))
