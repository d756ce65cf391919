"""require_equal: that a shrunk model computes what the masked original computes, on real rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfkit import Data, VerificationError
from tfkit.replay import flat_inputs, run
from tfkit_compressors.shrinking.build import zeroed_weights
from tfkit_compressors.shrinking.plan import Plan

_ROWS = 4
# Rounding of float32 makes 1e-5 at most, of float16 a few 1e-3.
_TOLERANCE = 1e-2


def require_equal(plan: Plan, made: keras.Model, data: Data) -> None:
    """Compares a shrunk model with its source, in which the same units are zero for a moment.

    Args:
        plan: What went.
        made: The shrunk model.
        data: A few rows of the train part are computed.

    Raises:
        VerificationError: Their outputs differ by more than 1% of the largest.
    """
    inputs = flat_inputs(plan.model, data.arrays("train", _ROWS)[0])
    with _masked(plan):
        expected = _outputs(plan.model, inputs)
    for position, (one, other) in enumerate(zip(expected, _outputs(made, inputs), strict=True)):
        difference, scale = np.abs(one - other).max(), np.abs(one).max()
        if np.isfinite(scale) and not difference <= _TOLERANCE * scale + 1e-6:
            raise VerificationError(
                f"the shrunk model {plan.model.name!r} does not compute what its source computes without the channels "
                f"that went: output {position} differs by {difference:.3g} of {scale:.3g}; does a layer hold state "
                "that is neither a weight nor in its config?"
            )


@contextlib.contextmanager
def _masked(plan: Plan) -> Iterator[None]:
    zeroed = zeroed_weights(plan)
    weights = {id(cut.variable): cut.variable for cut in plan.cuts()}
    before = {key: keras.ops.convert_to_numpy(weight) for key, weight in weights.items()}
    try:
        for key, weight in weights.items():
            weight.assign(zeroed[key])
        yield
    finally:
        for key, weight in weights.items():
            weight.assign(before[key])


def _outputs(model: keras.Model, inputs: list[Any]) -> list[np.ndarray]:
    found = run(model, inputs, lambda operation, *args, **kwargs: operation(*args, **kwargs))
    return [keras.ops.convert_to_numpy(each).astype("float64") for each in found]
