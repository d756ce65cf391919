"""Warm-up requests: what TensorFlow Serving runs before a version takes traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfkit.errors import VerificationError
from tfkit.formats.named_model import NamedModel
from tfkit.reasons import reason
from tfkit_exporters.endpoints import example_of
from tfkit_exporters.served import open_served
from tfkit_serving.protocol.messages import PredictionLog
from tfkit_serving.protocol.tensors import to_proto
from tfkit_serving.servables.warmup import FILE, MAX_RECORDS, Warming

# Rows that each signature over tf.Example is warmed up with: they run what predict has run already.
_EXAMPLES = 8
# Rows of large images would make a file larger than the model.
_BYTES = 1 << 26


def write_warm_up(
    directory: Path,
    model: NamedModel,
    sample: Mapping[str, Any],
    *,
    endpoints: tuple[str, ...],
    most: int = MAX_RECORDS,
) -> None:
    """Writes a TFRecord of PredictionLog: a predict request a row, some for the other signatures, each run before.

    One record that fails keeps TensorFlow Serving from loading the version. The file stays below 64 MiB.

    Args:
        directory: A SavedModel.
        model: What it was made from.
        sample: Arrays by name, rows first.
        endpoints: "classify", "regress": the signatures over tf.Example that it has.
        most: Records at most.

    Raises:
        VerificationError: The model fails on a row.
    """
    path = directory / FILE
    path.parent.mkdir(exist_ok=True)
    written = 0
    served = Warming(open_served(directory))
    # In a thread of its own: that of a notebook has an event loop.
    with ThreadPoolExecutor(1) as thread, tf.io.TFRecordWriter(str(path)) as writer:
        for row, log in _logs(model, sample, endpoints, most):
            try:
                thread.submit(served.replay, log).result()
            except Exception as error:
                raise VerificationError(
                    f"the exported model fails on row {row} of the sample: {reason(error)}"
                ) from error
            record = log.SerializeToString()
            written += len(record)
            if written > _BYTES:
                break
            writer.write(record)


def _logs(
    model: NamedModel, sample: Mapping[str, Any], endpoints: tuple[str, ...], most: int
) -> Iterator[tuple[int, Any]]:
    """The records with the number of the row that each was made of; few for other signatures, then predict's."""
    rows = len(next(iter(sample.values())))
    few = min(_EXAMPLES, rows, max(0, most - 1) // max(1, len(endpoints)))
    for name in endpoints:
        for row in range(few):
            yield row, _example_log(name, example_of(model, _one(sample, row)))
    for row in range(min(rows, most - few * len(endpoints))):
        yield row, _predict_log(_one(sample, row))


def _one(sample: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {name: values[row : row + 1] for name, values in sample.items()}


def _predict_log(row: Mapping[str, Any]) -> Any:
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = "serving_default"
    for name, values in row.items():
        log.predict_log.request.inputs[name].CopyFrom(to_proto(values))
    return log


def _example_log(name: str, example: Any) -> Any:
    log = PredictionLog()
    request = (log.classify_log if name == "classify" else log.regress_log).request
    request.model_spec.signature_name = name
    request.input.example_list.examples.add().MergeFromString(example.SerializeToString())
    return log
