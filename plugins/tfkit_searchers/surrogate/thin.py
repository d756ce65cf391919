"""Which of many points a Gaussian process is told of, so that its cost stays flat."""

from __future__ import annotations

import numpy as np


def kept(features: np.ndarray, targets: np.ndarray, most: int) -> np.ndarray:
    """The indices of the better half, and of those that are farthest from what is kept already.

    The best say where it is good, in detail. The others say where it is bad; there, far points tell as much
    as all of them. What is left out is near a point that is kept, and so does not look unexplored.

    Args:
        features: Where values were seen, of shape (n, features).
        targets: What was seen, of shape (n,), low where it is good.
        most: How many to keep.

    Returns:
        Ascending indices: all of them where there are no more than `most`.

    Example:
        >>> kept(np.array([[0.0], [0.1], [0.9], [0.85], [0.5]]), np.array([1.0, 2.0, 3.0, 4.0, 5.0]), most=4)
        array([0, 1, 2, 4])
    """
    if len(targets) <= most:
        return np.arange(len(targets))
    chosen = list(np.argsort(targets, kind="stable")[: (most + 1) // 2])
    distances = np.full(len(targets), np.inf)
    for index in chosen:
        distances = np.minimum(distances, _from(features, index))
    while len(chosen) < most:
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, _from(features, chosen[-1]))
    return np.sort(chosen)


def _from(features: np.ndarray, index: int) -> np.ndarray:
    found = ((features - features[index]) ** 2).sum(1)
    found[index] = -1.0  # never again
    return found
