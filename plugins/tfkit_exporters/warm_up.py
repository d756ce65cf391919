"""Warm-up requests: what TensorFlow Serving runs before a version takes traffic."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfkit.errors import VerificationError
from tfkit.formats.saved_model import SavedModel
from tfkit.missing import explain_missing
from tfkit.reasons import reason

FILE = Path("assets.extra", "tf_serving_warmup_requests")
# TensorFlow Serving refuses a version with more.
MOST = 1000


def write_warm_up(directory: Path, sample: Mapping[str, Any]) -> None:
    """Writes a TFRecord of PredictionLog, one predict request a row, each run before it is written.

    One record that fails keeps TensorFlow Serving from loading the version. Without
    tensorflow-serving-api nothing is written, and a warning says so.

    Args:
        directory: A SavedModel.
        sample: Arrays by name; the first 1000 rows are used.

    Raises:
        VerificationError: The model fails on a row.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ModuleNotFoundError as error:
        warnings.warn(f"no warm-up requests written: {explain_missing('the warm-up file', error)}", stacklevel=2)
        return
    model = SavedModel(directory)
    path = directory / FILE
    path.parent.mkdir(exist_ok=True)
    count = min(MOST, len(next(iter(sample.values()))))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(count):
            tensors = {name: tf.convert_to_tensor(values[row : row + 1]) for name, values in sample.items()}
            _try(model, tensors, row)
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.model_spec.signature_name = "serving_default"
            for name, tensor in tensors.items():
                log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
            writer.write(log.SerializeToString())


def _try(model: SavedModel, tensors: dict[str, Any], row: int) -> None:
    try:
        model.by_name(tensors)
    except Exception as error:
        raise VerificationError(f"the exported model fails on row {row} of the sample: {reason(error)}") from error
