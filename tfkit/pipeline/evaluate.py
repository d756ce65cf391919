"""evaluate: metrics of a model on data it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfkit.data import Data
from tfkit.errors import ParameterError
from tfkit.factory import create
from tfkit.models import load_model
from tfkit.pipeline.bootstrap import RESAMPLES, interval
from tfkit.pipeline.predictions import check_labels, check_outputs, predict, single_output
from tfkit.recipe import Step, step_name


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval.

    Attributes:
        value: The metric on all rows.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def evaluate(
    model: Any, data: Data | tuple[Any, ...], metrics: Sequence[Step], *, confidence: float | None = None
) -> dict[str, Any]:
    """Computes metrics of a model.

    Args:
        model: A Keras model, a path of a model file, or a callable from rows to outputs.
        data: A Data (its test part, else validation), `(x, y)`, `(x, y, sample_weight)`, or a dataset of batches.
        metrics: Names, or `(name, params)`, of metric plugins.
        confidence: Level, such as 0.95, of a bootstrap interval over rows (percentile method,
            1000 resamples; Efron 1979); None for none.

    Returns:
        `{name: float}`, or `{name: Interval}` with confidence; a metric with a value per class gives an array.

    Raises:
        ParameterError: Two metrics have the same name, or confidence is not between 0 and 1.
        DataError: A label is out of range, or a value is no number.
        ModelError: The model cannot be called on the rows, gives NaN, or has several outputs.
        PluginNotFound: There is no such metric.

    Example:
        >>> import numpy as np, tfkit
        >>> found = tfkit.evaluate(lambda x: x, (np.eye(3), np.array([0, 1, 1])), ["accuracy"])
        >>> round(found["accuracy"], 4)
        0.6667
    """
    if confidence is not None:
        check_confidence(confidence, "evaluate")
    makers = metric_makers(metrics)
    x, *truth = held_out(data)
    return evaluate_outputs(outputs_of(model, x), tuple(truth), makers, confidence=confidence)


def check_confidence(confidence: Any, owner: str) -> None:
    """Refuses what is no level of an interval.

    Raises:
        ParameterError: Names the function, `owner`.
    """
    if not (isinstance(confidence, float) and 0 < confidence < 1):
        raise ParameterError(f"the parameter 'confidence' of {owner} must be a float > 0 and < 1; got {confidence!r}")


def held_out(data: Data | tuple[Any, ...]) -> tuple[Any, ...]:
    """`(x, y)` or `(x, y, sample_weight)` to evaluate on, as arrays: of a Data its test part, else validation."""
    return data.arrays(data.held_out) if isinstance(data, Data) else Data(data).arrays("train")


def outputs_of(model: Any, x: Any) -> Any:
    """What a model, a path of one or a callable predicts of rows."""
    return predict(load_model(model) if isinstance(model, (str, Path)) else model, x)


def evaluate_outputs(
    outputs: Any,
    truth: tuple[Any, ...],
    makers: Mapping[str, Callable[[], Any]],
    *,
    confidence: float | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Computes metrics of outputs that were predicted already.

    Args:
        outputs: What `predict` gave, rows first.
        truth: `(y,)` or `(y, sample_weight)`.
        makers: Functions that make the metrics, by key; see `metric_makers`.
        confidence: As for `evaluate`.
        resamples: How often the bootstrap draws.

    Raises:
        DataError: A label is out of range.
        ModelError: The outputs hold NaN, or are several.
    """
    columns = metric_columns(outputs, truth)
    values = {name: metric_value(make, columns) for name, make in makers.items()}
    if confidence is None:
        return values
    return {
        name: _interval(values[name], interval(make, columns, confidence, resamples=resamples))
        for name, make in makers.items()
    }


def metric_columns(outputs: Any, truth: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a metric takes: `(y, outputs)` or `(y, outputs, sample_weight)`.

    Raises:
        DataError: A label is out of range.
        ModelError: The outputs hold NaN, or are several.
    """
    outputs = single_output(outputs)
    check_outputs(outputs)
    check_labels(truth[0], outputs)
    return (truth[0], outputs, *truth[1:])


def metric_value(make: Callable[[], Any], columns: tuple[Any, ...]) -> Any:
    """A metric of `metric_columns`: a float, or a numpy array where it has several values."""
    import numpy as np

    metric = make()
    metric.update_state(*columns)
    value = np.asarray(metric.result())
    return float(value) if value.ndim == 0 else value


def metric_makers(metrics: Sequence[Step]) -> dict[str, Callable[[], Any]]:
    """Functions that make each metric, by the key it has in the results: its `name` parameter or its plugin's name.

    Raises:
        ParameterError: Two have the same key.
    """
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise ParameterError(f"metrics must be a list of names or (name, params); got {metrics!r}")
    makers: dict[str, Callable[[], Any]] = {}
    for each in metrics:
        name, params = step_name(each)
        key = params.get("name") or name
        if key in makers:
            raise ParameterError(f"two metrics are called {key!r}: give one of them a name, ({name!r}, {{'name': …}})")
        makers[key] = _maker(name, params)
        makers[key]()  # A wrong parameter is told before anything is predicted.
    return makers


def _maker(name: str, params: Mapping[str, Any]) -> Callable[[], Any]:
    return lambda: create("metric", name, **params)


def _interval(value: Any, ends: tuple[Any, Any]) -> Interval:
    low, high = ends
    return Interval(value, float(low), float(high)) if isinstance(value, float) else Interval(value, low, high)
