"""How often a file of few bits decides as the model does that it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np


def decided_alike(expected: Any, outputs: Any, step: float = 0.0, score_step: float = 0.0) -> float | None:
    """The share of rows on which two models decide alike, or on which the first cannot tell its best two apart.

    Args:
        expected: Outputs of one, shape (n, classes), (n, 1) or (n,).
        outputs: Outputs of the other, of the same shape.
        step: The difference of outputs that their quantization cannot tell.
        score_step: The difference that it cannot tell of the scores that a softmax or sigmoid made the outputs
            from; a probability p moves by at most p times that.

    Returns:
        None where the outputs are no decisions: of another rank, or one number that is no probability.

    Example:
        >>> scores = np.array([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])
        >>> decided_alike(scores, np.array([[0.4, 0.6], [0.8, 0.2], [0.6, 0.4]]), step=0.01).__round__(2)
        0.67
    """
    if expected.ndim == 2 and expected.shape[1] > 1:
        best = expected.max(-1)
        chosen = np.take_along_axis(expected, outputs.argmax(-1)[:, None], -1)[:, 0]
        return float(np.mean(best - chosen <= step + score_step * best))
    if expected.ndim > 2 or expected.min() < 0 or expected.max() > 1:
        return None
    sides = (expected.reshape(-1) > 0.5) == (outputs.reshape(-1) > 0.5)
    return float(np.mean(sides | (np.abs(expected.reshape(-1) - 0.5) <= step + score_step / 4)))
