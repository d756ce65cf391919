"""The posterior of a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from tfkit_searchers.surrogate.kernel import distances2, matern


@dataclass(frozen=True)
class Kernel:
    """What a fit finds.

    Attributes:
        lengths: Length scale of each feature.
        scale: Variance of the function.
        noise: Variance of the noise.
    """

    lengths: np.ndarray
    scale: float
    noise: float


class Posterior:
    """A Gaussian process of mean 0 that has seen values (Rasmussen and Williams 2006, algorithm 2.1).

    Args:
        kernel: Its kernel.
        features: Where it was seen, of shape (n, features).
        targets: What was seen there, of shape (n,).
    """

    def __init__(self, kernel: Kernel, features: np.ndarray, targets: np.ndarray) -> None:
        self._kernel = kernel
        self._seen = features / kernel.lengths
        covariance = kernel.scale * matern(distances2(self._seen, self._seen))[0]
        self._factor = cholesky(covariance, kernel.noise)
        self._weights = lapack.dpotrs(self._factor, targets, lower=1)[0]

    def at(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the function, without its noise, at rows of features."""
        cross = self._kernel.scale * matern(distances2(features / self._kernel.lengths, self._seen))[0]
        half = lapack.dtrtrs(self._factor, cross.T, lower=1)[0]
        return cross @ self._weights, self._deviation((half * half).sum(0))

    def slopes_at(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean and standard deviation as `at` gives them, and their derivatives by the features.

        Returns:
            Two arrays of shape (m,) and two of shape (m, features).
        """
        scaled = features / self._kernel.lengths
        cross, slope = (self._kernel.scale * each for each in matern(distances2(scaled, self._seen)))
        solved = lapack.dpotrs(self._factor, cross.T, lower=1)[0].T
        deviation = self._deviation((cross * solved).sum(1))
        mean_slopes = self._descend(scaled, slope * self._weights)
        variance_slopes = -2 * self._descend(scaled, slope * solved)
        return cross @ self._weights, deviation, mean_slopes, variance_slopes / (2 * deviation[:, None])

    def _descend(self, scaled: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The weighted sum of the kernel's derivatives by the features."""
        return (weights @ self._seen - weights.sum(1)[:, None] * scaled) / self._kernel.lengths

    def _deviation(self, explained: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(self._kernel.scale - explained, 1e-12 * self._kernel.scale))


def cholesky(covariance: np.ndarray, noise: float) -> np.ndarray:
    """The lower factor of a covariance with noise added to its diagonal, as little more as makes it positive."""
    diagonal = np.einsum("ii->i", covariance)
    plain = diagonal.copy()
    for jitter in (0.0, 1e-10, 1e-8, 1e-6, 1e-4):
        diagonal[:] = plain * (1 + jitter) + noise
        factor, failed = lapack.dpotrf(covariance, lower=1)
        if not failed:
            return factor
    raise np.linalg.LinAlgError("a covariance is not positive")
