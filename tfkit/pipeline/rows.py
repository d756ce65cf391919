"""Rows of the table of models: metric, sizes, latency and agreement with the source."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

from tfkit.data import Data, Part
from tfkit.errors import ParameterError, TfkitError
from tfkit.factory import create
from tfkit.measurement import measure
from tfkit.models import load_model
from tfkit.pipeline.evaluate import evaluate, evaluate_outputs, metric_makers
from tfkit.pipeline.expected import Expectation, decisions, expectation
from tfkit.pipeline.predictions import predict
from tfkit.progress import say
from tfkit.reasons import reason
from tfkit.recipe import Step, step_name

Row = dict[str, Any]

# Columns that are paths.
PATHS = ("path", "keras_path", "arm_path", "litert_path")

_CONFIDENCE = 0.95
# Fewer than evaluate's thousand: a row is measured for every step and every candidate.
_RESAMPLES = 200
_TIMES = ("p50", "p99")


class Yardstick:
    """What all rows of one table are measured with: the same rows of data, metric and source.

    Args:
        source: The Keras model whose decisions the others are compared with.
        data: The metric is measured on its validation part (train where there is none).
        metric: A metric plugin: name or (name, params).

    Raises:
        ParameterError: The metric has a value per class.
    """

    def __init__(self, source: Any, data: Data, metric: Step) -> None:
        self.source = source
        self.data = data
        self.metric = metric
        self.higher_is_better = higher_is_better(metric)
        self._makers = metric_makers([metric])
        self._x, *self._truth = data.arrays(data.choosing)

    def row(self, step: str, subject: Any, *, model: Any = None) -> Row:
        """Measures one model.

        Args:
            step: What made it.
            subject: A Keras model, or the path of an artifact.
            model: The Keras model that the artifact was made from, whose operations are counted.

        Returns:
            step, metric with metric_low and metric_high (95%, bootstrap over rows), parameters, nonzero,
            flops (None where they cannot be counted), bytes, gzip_bytes, latency_p50_ms and latency_p99_ms
            (a .tflite through LiteRT, a Keras model as a traced function), agreement, expected_drop (of accuracy, on
            new rows; None for other metrics, see `tfkit.pipeline.expected`), kept.
        """
        loaded = load_model(subject) if isinstance(subject, Path) else subject
        outputs = self.source_outputs if loaded is self.source else self.outputs(loaded)
        found = self._evaluated(outputs)
        return {
            "step": step,
            "metric": found.value,
            "metric_low": found.low,
            "metric_high": found.high,
            "flops": count_flops(loaded if model is None else model),
            **measure(subject, self.data.sample()).as_dict(),
            "agreement": 1.0 if loaded is self.source else agreement(self.source_outputs, outputs),
            "expected_drop": self._expected_drop(outputs),
            "kept": True,
        }

    def outputs(self, model: Any) -> Any:
        """What a model predicts on the rows that all are measured on."""
        return predict(model, self._x)

    def value_of(self, outputs: Any) -> float:
        """The metric alone, of outputs on those rows."""
        return _value(evaluate_outputs(outputs, tuple(self._truth), self._makers))

    def lost(self, source: float, value: float) -> float:
        """How much of the metric is lost from the source's value to another; below zero for a gain."""
        return source - value if self.higher_is_better else value - source

    def drop(self, row: Row, source: Row) -> float:
        """How much of the metric one row has lost against another, the source's."""
        return self.lost(source["metric"], row["metric"])

    @functools.cached_property
    def source_outputs(self) -> Any:
        """What the source predicts on those rows."""
        return self.outputs(self.source)

    @functools.cached_property
    def _expectation(self) -> Expectation | None:
        return expectation(self.metric, self.source_outputs, tuple(self._truth))

    def _expected_drop(self, outputs: Any) -> float | None:
        if self._expectation is None or getattr(outputs, "ndim", 3) > 2:
            return None
        return self._expectation.drop(decisions(outputs, step_name(self.metric)[1]))

    def _evaluated(self, outputs: Any) -> Any:
        found = evaluate_outputs(
            outputs, tuple(self._truth), self._makers, confidence=_CONFIDENCE, resamples=_RESAMPLES
        )
        _value({name: interval.value for name, interval in found.items()})
        return next(iter(found.values()))


def signature_latency(model: Any, data: Data) -> Row:
    """Latency of one row through the serving signature of a model's SavedModel, as a server calls it.

    Returns:
        signature_p50_ms and signature_p99_ms; None for both where the model cannot be exported, which is said.
    """
    from tfkit.formats.named_model import NamedModel

    with tempfile.TemporaryDirectory(prefix="tfkit-signature-") as folder:
        try:
            named = NamedModel(model, sample=data.sample())
            create("exporter", "saved-model").write(named, Path(folder), None)
            row = named.arrange(data.sample())
            found = measure(folder, row).as_dict()
        except (TfkitError, ValueError, TypeError) as error:
            say(f"no latency through the signature: {reason(error)}")
            return {f"signature_{each}_ms": None for each in _TIMES}
    return {f"signature_{each}_ms": found[f"latency_{each}_ms"] for each in _TIMES}


def litert_latency(model: Any, path: Path, data: Data) -> Row:
    """Size and latency of a model as a float LiteRT file, which its compressed files are fairly compared with.

    Args:
        model: A built Keras model.
        path: The file to write.
        data: Its first rows of input are timed and compared.

    Returns:
        litert_path, litert_bytes, litert_p50_ms and litert_p99_ms; all None where the model cannot be
        converted, which is said.
    """
    made = float_litert(model, path, data)
    return litert_columns(None if made is None else {"path": made, **measure(made, data.sample()).as_dict()})


def float_litert(model: Any, path: Path, data: Data) -> Path | None:
    """A model as a float LiteRT file, compared with it on the first rows; None where it has none, which is said."""
    from tfkit.formats.conversion import convert

    try:
        return convert(model, path, check=data.sample(64)).path
    except TfkitError as error:
        say(f"no float LiteRT file to compare with: {error}")
        return None


def litert_columns(row: Row | None) -> Row:
    """What the row of a float LiteRT file adds to that of its source; None for no such file.

    Returns:
        litert_path, litert_bytes, litert_p50_ms and litert_p99_ms.
    """
    columns = {"path": "path", "bytes": "bytes", "latency_p50_ms": "p50_ms", "latency_p99_ms": "p99_ms"}
    found = {} if row is None else {**row, "path": str(row["path"])}
    return {f"litert_{name}": found.get(key) for key, name in columns.items()}


def count_flops(model: Any) -> int | None:
    """Floating-point operations of one row, None where they cannot be counted, as in a file."""
    if not hasattr(model, "trainable_variables"):
        return None
    try:
        from tfkit.flops import flops

        return int(flops(model))
    except (ImportError, TfkitError):
        return None


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
    several = expected.ndim == 2 and expected.shape[1] > 1
    if not several and (np.min(expected) < 0 or np.max(expected) > 1):
        return None
    return float(np.mean(decisions(expected, {}) == decisions(outputs, {})))


def within(drop: float, max_drop: float | None) -> bool:
    """Whether a loss is within the bound; None bounds nothing.

    Example:
        >>> within(0.1 + 0.2, 0.3), within(0.31, 0.3)
        (True, False)
    """
    return max_drop is None or drop <= max_drop + 1e-12


def higher_is_better(metric: Step) -> bool:
    """Whether a larger value of a metric plugin is the better one, as its Keras metric says."""
    name, params = step_name(metric)
    return getattr(create("metric", name, **params), "_direction", "up") != "down"


def _value(results: dict[str, Any]) -> float:
    ((name, value),) = results.items()
    if not isinstance(value, float):
        raise ParameterError(f"the metric {name!r} has a value per class: give it an average, to compare models by it")
    return value
