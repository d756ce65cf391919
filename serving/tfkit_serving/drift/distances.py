"""Distances between a profile's distribution and what is seen, from counts in the same bins."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

# Added to each bin's count: an empty bin would make the index infinite. Half a row is Jeffreys' prior.
_PRIOR = 0.5


def stability_index(expected: ArrayLike, observed: ArrayLike) -> float:
    """The population stability index: Σ (q − p)·ln(q / p) over bins, of shares smoothed by half a row a bin.

    It is the Kullback-Leibler divergence taken both ways and added (Jeffreys 1946), on bins; below 0.1 is read as
    no shift and above 0.25 as a large one (Siddiqi, Credit Risk Scorecards, 2006).

    Args:
        expected: Rows in each bin when the profile was taken, shape (bins,); they may be fractions of rows.
        observed: Rows in each bin now, shape (bins,).

    Returns:
        The index, at least 0, without a unit. 0 for fewer than two bins.

    Raises:
        ValueError: The numbers of bins differ.

    Example:
        >>> stability_index([100, 100], [100, 100])
        0.0
        >>> round(stability_index([100, 100], [150, 50]), 2)
        0.27
    """
    p, q = _counts(expected, observed)
    if len(p) < 2:
        return 0.0
    p, q = (p + _PRIOR) / (p.sum() + _PRIOR * len(p)), (q + _PRIOR) / (q.sum() + _PRIOR * len(q))
    return float(np.sum((q - p) * np.log(q / p)))


def kolmogorov_smirnov(expected: ArrayLike, observed: ArrayLike) -> float:
    """The largest difference between the two cumulative distributions, looked at where bins meet.

    It is at most the two-sample statistic of the rows themselves, and less than that by no more than the largest
    share that a bin has in either sample.

    Args:
        expected: Rows in each bin when the profile was taken, shape (bins,), bins in ascending order.
        observed: Rows in each bin now, shape (bins,).

    Returns:
        The statistic in [0, 1]; 0 where one side has no rows.

    Raises:
        ValueError: The numbers of bins differ.

    Example:
        >>> kolmogorov_smirnov([100, 100], [150, 50])
        0.25
    """
    p, q = _counts(expected, observed)
    if not p.sum() or not q.sum():
        return 0.0
    return float(np.max(np.abs(np.cumsum(p) / p.sum() - np.cumsum(q) / q.sum())))


def index_by_chance(bins: int, expected_rows: float, observed_rows: float, confidence: float = 0.99) -> float:
    """What the stability index stays below by chance alone, when nothing has shifted.

    Without a shift the index is near χ²(bins − 1)·(1 / expected_rows + 1 / observed_rows): a profile of few rows
    reads as a shift by itself. The quantile of χ² is Wilson and Hilferty's (1931), within 1% here.

    Args:
        bins: How many bins there are.
        expected_rows: Rows in the profile.
        observed_rows: Rows in the window.
        confidence: The probability of staying below, in (0.5, 1).

    Example:
        >>> round(index_by_chance(20, 10_000, 1_000), 3)
        0.04
    """
    if bins < 2 or expected_rows <= 0 or observed_rows <= 0:
        return 0.0
    freedom = bins - 1
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + NormalDist().inv_cdf(confidence) * spread**0.5) ** 3
    return float(quantile * (1 / expected_rows + 1 / observed_rows))


def _counts(expected: ArrayLike, observed: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, q = np.asarray(expected, "float64"), np.asarray(observed, "float64")
    if p.shape != q.shape or p.ndim != 1:
        raise ValueError(f"both sides need the same bins, shape (bins,); got {p.shape} and {q.shape}")
    return p, q
