"""Fidelity: how near a converted model's outputs are to those of the model it came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Beyond this the outputs have little to do with the model's: a constant scores 1, unrelated numbers about 1.4.
_FAR = 0.7


@dataclass(frozen=True)
class Fidelity:
    """What a comparison found, the worst output of several.

    Attributes:
        rows: Rows compared.
        relative_error: Norm of the difference over the norm of the model's outputs about their mean.
        agreement: Share of rows on which both decide alike; None where the outputs are no decisions.
        far: Whether the outputs differ by more than quantization can explain.
    """

    rows: int
    relative_error: float
    agreement: float | None
    far: bool

    def __str__(self) -> str:
        """Both figures in words."""
        error = f"relative error {self.relative_error:.3g} on {self.rows} rows"
        return error if self.agreement is None else f"{self.agreement:.1%} of the decisions agree, {error}"


def fidelity(expected: Sequence[Any], outputs: Sequence[Any], steps: Sequence[float] | None = None) -> Fidelity:
    """Compares outputs.

    Args:
        expected: The model's outputs, each an array, rows first.
        outputs: The converted model's, in the same order.
        steps: The quantization step of each output, which a difference may reach; None for 0.

    Example:
        >>> import numpy as np
        >>> expected = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> print(fidelity([expected], [expected + 0.01]))
        100.0% of the decisions agree, relative error 0.0286 on 2 rows
    """
    steps = steps or [0.0] * len(expected)
    found = [_one(*each) for each in zip(expected, outputs, steps)]
    agreements = [each.agreement for each in found if each.agreement is not None]
    return Fidelity(
        rows=len(expected[0]),
        relative_error=max((each.relative_error for each in found), key=_nan_last),
        agreement=min(agreements, default=None),
        far=any(each.far for each in found),
    )


def _one(expected: Any, outputs: Any, step: float) -> Fidelity:
    import numpy as np

    from tfkit.pipeline.rows import agreement

    want, got = np.asarray(expected, "float64"), np.asarray(outputs, "float64")
    if want.shape != got.shape:
        return Fidelity(len(want), math.inf, None, far=True)
    difference = np.linalg.norm(got - want)
    spread = np.linalg.norm(want - want.mean(axis=0))
    size = np.linalg.norm(want)
    # Outputs that do not vary have no spread to compare with.
    scale = spread if spread > 1e-6 * size else size
    nothing_to_scale_by = math.inf if difference else 0.0
    relative = float(difference / scale) if scale else nothing_to_scale_by
    within_step = difference <= step * math.sqrt(want.size)
    return Fidelity(len(want), relative, agreement(want, got), far=not (relative <= _FAR or within_step))


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
