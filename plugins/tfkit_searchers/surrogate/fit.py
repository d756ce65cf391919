"""The kernel that explains what was seen, by maximum a posteriori."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from tfkit_searchers.surrogate.kernel import matern
from tfkit_searchers.surrogate.process import Kernel, cholesky

# Normal priors of the logarithms: mean and standard deviation.
LENGTH_PRIOR = (np.log(0.5), 1.0)
SCALE_PRIOR = (0.0, 1.0)
NOISE_PRIOR = (np.log(1e-4), 2.5)
_SMALL = 50  # a search from a second start is cheap for so few values
_BOUNDS = {"length": (np.log(0.02), np.log(50.0)), "scale": (np.log(0.05), np.log(50.0)), "noise": (np.log(1e-6), 0.0)}


class Evidence:
    """Minus the logarithm of the posterior density of a kernel's parameters, up to a constant.

    The parameters are the logarithms of a length scale for each axis that has features, of the scale and of
    the noise.

    Args:
        features: Where values were seen, of shape (n, features).
        axis_of: For each feature, its axis: the features of one axis share a length scale.
        targets: What was seen, of shape (n,), about standardized.
    """

    def __init__(self, features: np.ndarray, axis_of: np.ndarray, targets: np.ndarray) -> None:
        self._axes, self._column = np.unique(axis_of, return_inverse=True)
        self._targets = targets
        squares = (features[:, None, :] - features[None, :, :]) ** 2
        self._squares = np.stack(
            [squares[:, :, self._column == axis].sum(-1).ravel() for axis in range(len(self._axes))]
        )
        self._prior = _prior(len(self._axes))
        self.bounds = [_BOUNDS["length"]] * len(self._axes) + [_BOUNDS["scale"], _BOUNDS["noise"]]

    def __call__(self, logs: np.ndarray) -> tuple[float, np.ndarray]:
        """The value and its gradient (Rasmussen and Williams 2006, 5.8 and 5.9)."""
        count = len(self._targets)
        weights, scale, noise = np.exp(-2 * logs[:-2]), np.exp(logs[-2]), np.exp(logs[-1])
        kernel, slope = (each.reshape(count, count) for each in matern(weights @ self._squares))
        factor = cholesky(scale * kernel, noise)
        solved = lapack.dpotrs(factor, self._targets, lower=1)[0]
        inverse = _inverse(factor)
        value = 0.5 * self._targets @ solved + np.log(factor.diagonal()).sum()
        pull = 0.5 * (inverse - np.outer(solved, solved))
        by_squares = self._squares @ (pull * slope).ravel() * scale
        slopes = np.concatenate([by_squares * weights, [(pull * kernel).sum() * scale, pull.trace() * noise]])
        mean, deviation = self._prior
        z = (logs - mean) / deviation
        return float(value + 0.5 * z @ z), slopes + z / deviation

    def kernel(self, logs: np.ndarray) -> Kernel:
        """The kernel that the parameters stand for."""
        return Kernel(np.exp(logs[:-2])[self._column], float(np.exp(logs[-2])), float(np.exp(logs[-1])))


def fit(features: np.ndarray, axis_of: np.ndarray, targets: np.ndarray) -> Kernel:
    """The kernel of the highest posterior density that a search from the better ones of several starts finds.

    Args:
        features: Where values were seen, of shape (n, features).
        axis_of: For each feature, its axis.
        targets: What was seen, of shape (n,), about standardized.
    """
    evidence = Evidence(features, axis_of, targets)
    starts = sorted(_starts(len(evidence.bounds) - 2), key=lambda logs: evidence(logs)[0])
    options = {"maxiter": 40, "ftol": 1e-5}
    found = [
        minimize(evidence, start, jac=True, method="L-BFGS-B", bounds=evidence.bounds, options=options)
        for start in starts[: 2 if len(targets) <= _SMALL else 1]
    ]
    return evidence.kernel(min(found, key=lambda each: each.fun).x)


def _starts(axes: int) -> list[np.ndarray]:
    return [
        np.array([np.log(length)] * axes + [0.0, np.log(noise)]) for length in (0.2, 0.5, 1.5) for noise in (1e-4, 1e-1)
    ]


def _prior(axes: int) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array([LENGTH_PRIOR] * axes + [SCALE_PRIOR, NOISE_PRIOR])
    return pairs[:, 0], pairs[:, 1]


def _inverse(factor: np.ndarray) -> np.ndarray:
    lower = np.tril(lapack.dpotri(factor, lower=1)[0])
    return lower + np.tril(lower, -1).T
