"""Matern's kernel of smoothness 5/2 with a length scale for each axis (Rasmussen and Williams 2006, 4.17)."""

from __future__ import annotations

import numpy as np

_ROOT5 = np.sqrt(5.0)


def distances2(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared distances of rows: shapes (n, features) and (m, features) give (n, m)."""
    found = (one * one).sum(1)[:, None] + (other * other).sum(1) - 2 * (one @ other.T)
    return np.maximum(found, 0.0, out=found)


def matern(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and its slope at squared distances that the length scales have divided.

    Returns:
        The kernel, 1 at a distance of 0; and minus twice its derivative by the squared distance, so that
        the derivative by a feature is minus the slope times the difference in that feature.

    Example:
        >>> kernel, slope = matern(np.array([0.0, 1.0]))
        >>> kernel.round(3), slope.round(3)
        (array([1.   , 0.524]), array([1.667, 0.576]))
    """
    root = _ROOT5 * np.sqrt(squared)
    decay = np.exp(-root)
    slope = 5 / 3 * (1 + root) * decay
    return slope * 0.6 + squared * (5 / 3) * decay, slope
