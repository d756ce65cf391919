"""Trials of several objectives: who beats whom, by non-dominated sorting (Deb et al., "NSGA-II", 2002)."""

from __future__ import annotations

import numpy as np


def ranks(losses: np.ndarray) -> np.ndarray:
    """The front that each row is in: 0 for rows that none beats, 1 for those that only these beat, and so on.

    A row beats another one that is worse somewhere and better nowhere.

    Args:
        losses: Of shape (rows, objectives), low where it is good.

    Example:
        >>> ranks(np.array([[1.0, 4.0], [2.0, 2.0], [2.0, 3.0], [4.0, 1.0], [5.0, 5.0]]))
        array([0, 0, 1, 0, 2])
    """
    if losses.shape[1] == 1:
        return np.unique(losses[:, 0], return_inverse=True)[1]
    beats = (losses[:, None] <= losses[None]).all(-1) & (losses[:, None] < losses[None]).any(-1)
    found = np.full(len(losses), -1)
    front = 0
    while (found < 0).any():
        left = found < 0
        best = left & ~beats[left].any(0)
        found[best] = front
        front += 1
    return found


def crowding(losses: np.ndarray, front: np.ndarray) -> np.ndarray:
    """How far each row's neighbours in its front are from each other, summed over objectives; infinity at the ends.

    Args:
        losses: Of shape (rows, objectives).
        front: The front of each row.

    Example:
        >>> losses = np.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0]])
        >>> crowding(losses, ranks(losses))
        array([inf,  2., inf])
    """
    found = np.zeros(len(losses))
    for each in np.unique(front):
        members = np.flatnonzero(front == each)
        for column in losses[members].T:
            order = np.argsort(column, kind="stable")
            width = np.ptp(column)
            gaps = np.full(len(members), np.inf)
            gaps[1:-1] = (column[order][2:] - column[order][:-2]) / width if width > 0 else 0.0
            found[members[order]] += gaps
    return found


def ordered(losses: np.ndarray, violations: np.ndarray | None = None) -> np.ndarray:
    """The indices of rows, the best first: by front, within one by crowding, so that the lonely come first.

    Rows that exceed a bound come behind all others, the least violation first (constrained domination).

    Args:
        losses: Of shape (rows, objectives), low where it is good. With one objective this sorts.
        violations: By how much each row exceeds the bounds, of shape (rows,); None where there are none.

    Example:
        >>> ordered(np.array([[3.0], [1.0], [2.0]]), np.array([0.0, 0.5, 0.0]))
        array([2, 0, 1])
    """
    violations = np.zeros(len(losses)) if violations is None else violations
    within, beyond = np.flatnonzero(violations == 0), np.flatnonzero(violations > 0)
    beyond = beyond[np.argsort(violations[beyond], kind="stable")]
    return np.concatenate([within[_ordered(losses[within])], beyond])


def _ordered(losses: np.ndarray) -> np.ndarray:
    if losses.shape[1] == 1:
        return np.argsort(losses[:, 0], kind="stable")
    front = ranks(losses)
    return np.lexsort((-crowding(losses, front), front))
