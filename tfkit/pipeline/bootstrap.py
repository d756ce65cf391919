"""Bootstrap: what a metric would have been on other rows of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

RESAMPLES = 1000
_SEED = 0


def interval(
    make: Callable[[], Any], columns: tuple[Any, ...], confidence: float, *, resamples: int = RESAMPLES
) -> tuple[Any, Any]:
    """Ends of a percentile interval over rows (Efron 1979).

    Args:
        make: Makes the Keras metric.
        columns: `(y, outputs)` or `(y, outputs, sample_weight)`, numpy arrays, rows first.
        confidence: Level, between 0 and 1.
        resamples: How often rows are drawn.

    Returns:
        The lower and the upper end, floats or arrays, as the metric's result is.

    Example:
        >>> import numpy as np, tfkit
        >>> y, outputs = np.zeros(50, int), np.tile([[0.9, 0.1], [0.2, 0.8]], (25, 1))
        >>> low, high = interval(lambda: tfkit.create("metric", "accuracy"), (y, outputs), 0.95)
        >>> bool(0.34 < low < 0.40 and 0.60 < high < 0.66)
        True
    """
    return ends(resampled(make, columns, resamples), confidence)


def ends(values: Any, confidence: float) -> tuple[Any, Any]:
    """The lower and the upper end of an interval that holds the middle of the values.

    Args:
        values: A value for each resample, resamples first. NaN, such as the area under the ROC curve of rows that are
            all of one class, is left out.
        confidence: The share that it holds.
    """
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def resampled(make: Callable[[], Any], columns: tuple[Any, ...], resamples: int = RESAMPLES) -> Any:
    """The metric's value on each resample, numpy (resamples, …); of two models, on the same rows.

    Every resample has as many rows as there are, drawn with replacement. They run in one TensorFlow
    graph, which is many times quicker than a call each; a metric that cannot be traced, or computes
    something else when it is, is called once for each. Arguments as `interval`.
    """
    import numpy as np

    columns = tuple(map(np.asarray, columns))
    called = _called(make)
    expected = called(columns, next(_indices(columns, 1)))
    try:
        values = _traced_values(make, columns, resamples)
        if np.allclose(values[0], expected, rtol=1e-5, atol=1e-7, equal_nan=True):
            return values
    except Exception:  # whatever a stranger's metric raises in a graph
        pass
    return np.asarray([called(columns, chosen) for chosen in _indices(columns, resamples)])


def _indices(columns: tuple[Any, ...], resamples: int) -> Iterator[Any]:
    """The rows of each resample in turn, the same ones whenever it is called."""
    import numpy as np

    generator, rows = np.random.default_rng(_SEED), len(columns[1])
    for _ in range(resamples):
        yield generator.integers(0, rows, rows)


def _called(make: Callable[[], Any]) -> Callable[[tuple[Any, ...], Any], Any]:
    import numpy as np

    metric = make()

    def value(columns: tuple[Any, ...], chosen: Any) -> Any:
        metric.reset_state()
        metric.update_state(*(column[chosen] for column in columns))
        return np.asarray(metric.result())

    return value


def _traced_values(make: Callable[[], Any], columns: tuple[Any, ...], resamples: int) -> Any:
    import numpy as np
    import tensorflow as tf

    metric = make()
    metric.update_state(*columns)  # makes its variables, which a graph could not
    tensors = tuple(map(tf.convert_to_tensor, columns))

    def value(chosen: Any) -> Any:
        metric.reset_state()
        metric.update_state(*(tf.gather(tensor, chosen) for tensor in tensors))
        return metric.result()

    traced = tf.function(value, autograph=False)
    return np.asarray([traced(tf.constant(chosen)).numpy() for chosen in _indices(columns, resamples)])
