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
from tfkit.pipeline.predictions import check_labels, check_outputs, predict, single_output
from tfkit.recipe import Step, step_name

_RESAMPLES = 1000


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
    if confidence is not None and not (isinstance(confidence, float) and 0 < confidence < 1):
        raise ParameterError(f"the parameter 'confidence' of evaluate must be a float > 0 and < 1; got {confidence!r}")
    makers = metric_makers(metrics)
    if isinstance(model, (str, Path)):
        model = load_model(model)
    x, y, *weight = data.arrays(data.held_out) if isinstance(data, Data) else Data(data).arrays("train")
    outputs = single_output(predict(model, x))
    check_outputs(outputs)
    check_labels(y, outputs)
    columns = (y, outputs, *weight)
    if confidence is None:
        return {name: _result(make(), columns) for name, make in makers.items()}
    return {name: _interval(make, columns, confidence) for name, make in makers.items()}


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


def _result(metric: Any, columns: tuple[Any, ...]) -> Any:
    import numpy as np

    metric.update_state(*columns)
    value = np.asarray(metric.result())
    return float(value) if value.ndim == 0 else value


def _interval(make: Callable[[], Any], columns: tuple[Any, ...], confidence: float) -> Any:
    import numpy as np

    value = _result(make(), columns)
    generator = np.random.default_rng(0)
    metric = make()
    rows = len(columns[1])
    resampled = []
    for _ in range(_RESAMPLES):
        chosen = generator.integers(0, rows, rows)
        metric.reset_state()
        resampled.append(_result(metric, tuple(np.asarray(column)[chosen] for column in columns)))
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(np.asarray(resampled), ends, axis=0)
    return Interval(value, *((float(low), float(high)) if np.ndim(low) == 0 else (low, high)))
