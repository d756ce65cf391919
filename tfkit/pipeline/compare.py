"""compare: two models on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tfkit.data import Data
from tfkit.pipeline.bootstrap import ends, resampled
from tfkit.pipeline.evaluate import (
    check_confidence,
    held_out,
    metric_columns,
    metric_makers,
    metric_value,
    outputs_of,
)
from tfkit.recipe import Step


@dataclass(frozen=True)
class Comparison:
    """A metric of two models, and the interval of their difference.

    Attributes:
        value: Of the model.
        other: Of the other model.
        difference: value - other.
        low: Lower end of the difference.
        high: Upper end of the difference.
    """

    value: float
    other: float
    difference: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0: the models differ by more than the choice of rows explains."""
        # Not `or`: of a metric with a value per class it is an array.
        return (self.low > 0) | (self.high < 0)


def compare(
    model: Any, other: Any, data: Data | tuple[Any, ...], metrics: Sequence[Step], *, confidence: float = 0.95
) -> dict[str, Comparison]:
    """Compares two models by metrics on the same rows.

    The interval is that of the paired difference (percentile bootstrap over rows, 1000 resamples; Efron 1979): each
    resample holds the same rows for both. It is narrower than the two models' own intervals tell, since rows that
    are hard for one are mostly hard for the other.

    Args:
        model: As for `evaluate`.
        other: A model that takes the same rows.
        data: As for `evaluate`.
        metrics: As for `evaluate`.
        confidence: Level of the interval.

    Returns:
        `{name: Comparison}`; of a metric with a value per class its fields are arrays.

    Raises:
        ParameterError: Two metrics have the same name, or confidence is not between 0 and 1.
        DataError: A label is out of range, or a value is no number.
        ModelError: A model cannot be called on the rows, gives NaN, or has several outputs.
        PluginNotFound: There is no such metric.

    Example:
        >>> import numpy as np, tfkit
        >>> x, y = np.eye(2)[np.tile([0, 1], 50)], np.tile([0, 1], 50)
        >>> found = tfkit.compare(lambda x: x, lambda x: 0 * x, (x, y), ["accuracy"])["accuracy"]
        >>> found.value, found.other, found.difference, found.differs
        (1.0, 0.5, 0.5, True)
    """
    check_confidence(confidence, "compare")
    makers = metric_makers(metrics)
    x, *truth = held_out(data)
    columns = [metric_columns(outputs_of(each, x), tuple(truth)) for each in (model, other)]
    return {name: _comparison(make, columns, confidence) for name, make in makers.items()}


def _comparison(make: Callable[[], Any], columns: list[tuple[Any, ...]], confidence: float) -> Comparison:
    value, other = (metric_value(make, each) for each in columns)
    drawn, other_drawn = (resampled(make, each) for each in columns)
    low, high = ends(drawn - other_drawn, confidence)
    if isinstance(value, float):
        low, high = float(low), float(high)
    return Comparison(value, other, value - other, low, high)
