"""Piecewise constant rates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

import tfkit
from tfkit_schedules.warmup import Warmup


@keras.saving.register_keras_serializable(package="tfkit")
class Piecewise(Warmup):
    """`values[i]` up to and including step `boundaries[i]`, the last value after all of them.

    Args:
        boundaries: Last step of each value but the last, increasing.
        values: Learning rates, one more than boundaries.
        warmup: Steps of linear warm-up before.

    Raises:
        ParameterError: The boundaries do not increase, or there is not one value more.

    Example:
        >>> schedule = Piecewise(boundaries=(10, 20), values=(0.1, 0.01, 0.001))
        >>> [round(float(schedule(step)), 6) for step in (10, 11, 20, 21)]
        [0.1, 0.01, 0.01, 0.001]
    """

    def __init__(self, *, boundaries: Sequence[int], values: Sequence[float], warmup: int = 0) -> None:
        super().__init__(warmup=warmup)
        self.boundaries = tuple(boundaries)
        self.values = tuple(values)
        _check(self.boundaries, self.values)

    def rate(self, step: Any) -> Any:
        passed = ops.cast(ops.expand_dims(step, -1) > ops.cast(self.boundaries, "float32"), "int32")
        return ops.take(ops.cast(self.values, "float32"), ops.sum(passed, axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": list(self.boundaries), "values": list(self.values), "warmup": self.warmup}


def _check(boundaries: tuple[int, ...], values: tuple[float, ...]) -> None:
    if any(later <= earlier for earlier, later in itertools.pairwise(boundaries)):
        raise tfkit.ParameterError(f"the boundaries of schedule 'piecewise' must increase; got {list(boundaries)}")
    if len(values) != len(boundaries) + 1:
        raise tfkit.ParameterError(
            f"schedule 'piecewise' needs one value more than boundaries: {len(boundaries) + 1}; got {len(values)}"
        )
