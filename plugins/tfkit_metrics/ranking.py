"""Pure functions of numpy arrays: areas under curves from scores, and ranks. Float64 throughout."""

from __future__ import annotations

from typing import Any

import numpy as np


def roc_auc(positive: Any, scores: Any, weights: Any = None) -> float:
    """Area under the ROC curve: how likely a positive row scores higher than a negative, ties counting half.

    Args:
        positive: Bool (n,).
        scores: (n,).
        weights: Float64 (n,), > 0; None where all weigh alike.

    Returns:
        NaN where all rows are positive, or none.

    Example:
        >>> roc_auc(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
        0.75
    """
    if not positive.any() or positive.all():
        return float("nan")
    own, below, up_to, total = _standing(positive, scores, weights)
    mass = own.sum()
    # Pairs of two positives, and a row with itself, make mass²/2 of it.
    pairs = own @ (below + up_to) / 2 - mass * mass / 2
    return float(np.clip(pairs / (mass * (total - mass)), 0, 1))


def average_precision(positive: Any, scores: Any, weights: Any = None) -> float:
    """Mean, over the positive rows, of the precision among the rows that score at least as high.

    It is the step-wise area under the precision-recall curve, as scikit-learn has it. Arguments as `roc_auc`.

    Returns:
        0 where no row is positive.

    Example:
        >>> round(average_precision(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8])), 4)
        0.8333
    """
    if not positive.any():
        return 0.0
    own, below, _, total = _standing(positive, scores, weights)
    mass = own.sum()
    # Positives are in order of score: those from the first of an equal score on score at least as high.
    chosen = np.sort(scores[positive])
    cumulative = np.concatenate([[0.0], np.cumsum(own)])
    at_least = mass - cumulative[np.searchsorted(chosen, chosen, "left")]
    return float(own @ np.minimum(at_least / (total - below), 1) / mass)


def _standing(positive: Any, scores: Any, weights: Any) -> tuple[Any, Any, Any, float]:
    """Of each positive row, by score: its weight, the weight of all rows below it, and up to it; and that of all."""
    if weights is None:
        # Sorting values is several times quicker than sorting their places.
        ordered, chosen = np.sort(scores), np.sort(scores[positive])
        below, up_to = (np.searchsorted(ordered, chosen, side).astype("float64") for side in ("left", "right"))
        return np.ones(len(chosen)), below, up_to, float(len(scores))
    order = np.argsort(scores)
    ordered, cumulative = scores[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    among = positive[order]
    chosen = ordered[among]
    below, up_to = (cumulative[np.searchsorted(ordered, chosen, side)] for side in ("left", "right"))
    return weights[order][among], below, up_to, float(cumulative[-1])


def ranks(values: Any) -> Any:
    """Ranks from 1, float64 (n,); equal values share the mean of theirs.

    Example:
        >>> ranks(np.array([5.0, 1.0, 5.0, 0.0])).tolist()
        [3.5, 2.0, 3.5, 1.0]
    """
    order = np.argsort(values)
    ordered = values[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.concatenate([first, [len(values)]]))
    found = np.empty(len(values))
    found[order] = np.repeat(first + (sizes + 1) / 2, sizes)
    return found


def correlation(x: Any, y: Any) -> float:
    """Pearson's correlation of two columns, (n,); NaN where one is constant or there are fewer than two rows."""
    if len(x) < 2 or (x == x[0]).all() or (y == y[0]).all():
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt(x @ x) / np.sqrt(y @ y), -1, 1))
