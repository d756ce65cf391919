"""Rows of the table of models: metric, sizes, latency and agreement with the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfkit.data import Data, Part
from tfkit.errors import ParameterError
from tfkit.factory import create
from tfkit.measurement import measure
from tfkit.models import load_model
from tfkit.pipeline.evaluate import evaluate
from tfkit.pipeline.predictions import predict
from tfkit.recipe import Step, step_name

Row = dict[str, Any]


def measured_row(step: str, subject: Any, data: Data, metric: Step, *, source: Any = None) -> Row:
    """Measures one model.

    Args:
        step: What made it.
        subject: A Keras model, or the path of an artifact.
        data: The metric is measured on its validation part (train where there is none).
        metric: A metric plugin: name or (name, params).
        source: The model that its decisions are compared with; None where it is the source itself.
    """
    x, y, *weight = data.arrays(data.choosing)
    model = load_model(subject) if isinstance(subject, Path) else subject
    return {
        "step": step,
        "metric": _value(evaluate(model, (x, y, *weight), [metric])),
        **measure(subject, data.sample()).as_dict(),
        "agreement": 1.0 if source is None else agreement(predict(source, x), predict(model, x)),
        "kept": True,
    }


def part_metric(subject: Any, data: Data, part: Part, metric: Step) -> float:
    """The metric of a model or artifact on one part of the data."""
    model = load_model(subject) if isinstance(subject, Path) else subject
    return _value(evaluate(model, data.arrays(part), [metric]))


def agreement(expected: Any, outputs: Any) -> float | None:
    """The share of rows on which two models decide alike.

    Args:
        expected: Outputs of one, shape (n, classes), (n, 1) or (n,).
        outputs: Outputs of the other.

    Returns:
        The share of equal arg-maxima, for one output of equal sides of 0.5; None where the
        outputs are no probabilities (a regression) or there are several.

    Example:
        >>> import numpy as np
        >>> agreement(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.8, 0.2], [0.7, 0.3]]))
        0.5
    """
    import numpy as np

    if isinstance(expected, (list, dict)) or isinstance(outputs, (list, dict)):
        return None
    if expected.ndim == 2 and expected.shape[1] > 1:
        return float(np.mean(np.argmax(expected, -1) == np.argmax(outputs, -1)))
    if np.min(expected) < 0 or np.max(expected) > 1:
        return None
    return float(np.mean((expected.reshape(-1) > 0.5) == (outputs.reshape(-1) > 0.5)))


def higher_is_better(metric: Step) -> bool:
    """Whether a larger value of a metric plugin is the better one, as its Keras metric says."""
    name, params = step_name(metric)
    return getattr(create("metric", name, **params), "_direction", "up") != "down"


def _value(results: dict[str, Any]) -> float:
    ((name, value),) = results.items()
    if not isinstance(value, float):
        raise ParameterError(f"the metric {name!r} has a value per class: give it an average, to compare models by it")
    return value
