"""Expected improvement, as a logarithm that does not underflow."""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_FAR = -100.0  # from where on four terms of the asymptotic series give all digits


def log_improvement(best: float, mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The logarithm of how much lower than `best` a normal variable is expected to be, and its derivatives.

    Ament et al., "Unexpected improvements to expected improvement for Bayesian optimization", 2023.

    Args:
        best: What is to be improved on.
        mean: Means of the variables.
        deviation: Their standard deviations, > 0.

    Returns:
        The logarithms, and their derivatives by the mean and by the deviation.

    Example:
        >>> log_improvement(0.0, np.array([0.0, 100.0]), np.array([1.0, 1.0]))[0].round(2)
        array([-9.20000e-01, -5.01013e+03])
    """
    z = (best - mean) / deviation
    h = log_h(z)
    rate = np.exp(log_ndtr(z) - h)
    by_deviation = np.exp(-0.5 * z * z - _HALF_LOG_2PI - h) / deviation
    return h + np.log(deviation), -rate / deviation, by_deviation


def log_h(z: np.ndarray) -> np.ndarray:
    """log(φ(z) + z Φ(z)), to all digits for any z."""
    z = np.asarray(z, float)
    found = np.empty_like(z)
    near, far = z > -1, z <= _FAR
    middle = ~near & ~far
    found[near] = np.log(np.exp(-0.5 * z[near] ** 2 - _HALF_LOG_2PI) + z[near] * ndtr(z[near]))
    low = z[middle]
    # φ + zΦ = φ (1 - |z| Φ/φ), where Φ/φ is erfcx without its exponential.
    found[middle] = -0.5 * low**2 - _HALF_LOG_2PI + np.log1p(low * erfcx(-low / np.sqrt(2)) * np.sqrt(np.pi / 2))
    small = z[far] ** -2.0
    series = np.log1p(small * (-3 + small * (15 - 105 * small)))
    found[far] = -0.5 * z[far] ** 2 - _HALF_LOG_2PI - 2 * np.log(-z[far]) + series
    return found
