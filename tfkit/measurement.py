"""measure: parameters, bytes and latency of a model or of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfkit.errors import DataError, ModelError, ParameterError
from tfkit.formats.keras_quantized import weight_values
from tfkit.latency import percentiles
from tfkit.models import load_model, require_built
from tfkit.nests import leaves
from tfkit.reasons import reason
from tfkit.sizes import file_sizes, gzipped, keras_bytes


@dataclass(frozen=True)
class Measurement:
    """What `measure` found.

    Attributes:
        parameters: Number of weights.
        nonzero: Number of weights that are not zero.
        bytes: Bytes on disk, without the optimizer's state.
        gzip_bytes: The same after gzip.
        latency_p50_ms: Median time of one call, milliseconds.
        latency_p99_ms: 99th percentile of it.
    """

    parameters: int
    nonzero: int
    bytes: int
    gzip_bytes: int
    latency_p50_ms: float
    latency_p99_ms: float

    def as_dict(self) -> dict[str, float]:
        """The fields by name."""
        return asdict(self)


def measure(model_or_path: Any, sample: Any, *, batch: int = 1, repeats: int = 200) -> Measurement:
    """Measures size and latency.

    A Keras model is timed as a traced function, which is how a server runs it; a SavedModel through
    its serving signature; a .tflite through the LiteRT interpreter on one thread.

    Args:
        model_or_path: A Keras model, or the path of a .keras, a SavedModel folder or a .tflite.
        sample: Rows of real input, as the model takes them; the first `batch` are used, again where there are fewer.
        batch: Rows in one call.
        repeats: Calls that are timed, after ten that are not.

    Raises:
        ModelError: The model is not built, or the path is no model.
        DataError: The sample has no rows.
        ParameterError: batch or repeats is below 1.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> measure(model, np.zeros((1, 4), "float32"), repeats=5).parameters
        10
    """
    for name, value in (("batch", batch), ("repeats", repeats)):
        if value < 1:
            raise ParameterError(f"the parameter {name!r} of measure must be an int >= 1; got {value!r}")
    rows = _rows(sample, batch)
    if not isinstance(model_or_path, (str, Path)):
        return _measure_keras(model_or_path, rows, repeats, keras_bytes(require_built(model_or_path)))
    path = Path(model_or_path)
    model = load_model(path)
    if path.suffix == ".keras":
        return _measure_keras(model, rows, repeats, keras_bytes(path))
    if path.suffix == ".tflite":
        return _measured(model.parameters, model.nonzero, file_sizes(path), model.prepare(rows), repeats)
    if path.is_dir():
        counts = _counts(model.variables)
        return _measured(*counts, file_sizes(path), lambda: model(rows), repeats)
    return _measure_keras(model, rows, repeats, path.read_bytes())


def count_parameters(model: Any) -> int:
    """The number of a built model's weights, as `measure` counts them.

    Args:
        model: A Keras model.

    Example:
        >>> import keras
        >>> count_parameters(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        10
    """
    return _counts(weight_values(require_built(model)))[0]


def _measure_keras(model: Any, rows: Any, repeats: int, saved: bytes) -> Measurement:
    import tensorflow as tf

    traced = tf.function(lambda x: model(x, training=False), autograph=False)
    tensors = tf.nest.map_structure(tf.convert_to_tensor, rows)

    def call() -> None:
        tf.nest.map_structure(lambda tensor: tensor.numpy(), traced(tensors))

    return _measured(*_counts(weight_values(model)), (len(saved), gzipped(saved)), call, repeats)


def _measured(
    parameters: int, nonzero: int, sizes: tuple[int, int], call: Callable[[], Any], repeats: int
) -> Measurement:
    try:
        p50, p99 = percentiles(call, repeats=repeats)
    except (ValueError, TypeError) as error:
        raise ModelError(f"the model cannot be called on the sample: {reason(error)}") from error
    return Measurement(parameters, nonzero, *sizes, p50, p99)


def _counts(variables: Any) -> tuple[int, int]:
    import numpy as np

    values = [np.asarray(variable) for variable in variables]
    values = [value for value in values if value.dtype.kind in "fiub" or value.dtype.name == "bfloat16"]
    return sum(value.size for value in values), int(sum(np.count_nonzero(value) for value in values))


def _rows(sample: Any, batch: int) -> Any:
    import numpy as np

    if not leaves(sample) or not all(len(np.asarray(leaf)) for leaf in leaves(sample)):
        raise DataError("the sample has no rows: pass a few rows of real input")

    def take(leaf: Any) -> Any:
        array = np.asarray(leaf)
        return np.take(array, np.arange(batch) % len(array), axis=0)

    import tensorflow as tf

    return tf.nest.map_structure(take, sample)
