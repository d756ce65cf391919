"""Warm-up requests: what TensorFlow Serving runs before a version takes traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfkit.errors import VerificationError
from tfkit.formats.named_model import NamedModel
from tfkit.missing import explain_missing
from tfkit.reasons import reason
from tfkit_exporters.endpoints import INPUT, example_of
from tfkit_exporters.served import Served

FILE = Path("assets.extra", "tf_serving_warmup_requests")
# TensorFlow Serving refuses a version with more.
MOST = 1000
# Rows that each signature over tf.Example is warmed up with: they run what predict has run already.
_EXAMPLES = 8
# Rows of large images would make a file larger than the model.
_BYTES = 1 << 26


def protocol() -> Any:
    """The messages of TensorFlow Serving, which take protobuf alone.

    Raises:
        VerificationError: protobuf is not installed; the text says what to install.
    """
    try:
        from tfkit_serving.protocol import messages
    except ModuleNotFoundError as error:
        raise VerificationError(explain_missing("the warm-up file", error)) from error
    return messages


def write_warm_up(
    directory: Path, model: NamedModel, sample: Mapping[str, Any], *, endpoints: tuple[str, ...], most: int = MOST
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
    with Served(directory) as served, tf.io.TFRecordWriter(str(path)) as writer:
        for row, log in _logs(model, sample, endpoints, most):
            try:
                run(log, served)
            except Exception as error:
                raise VerificationError(
                    f"the exported model fails on row {row} of the sample: {reason(error)}"
                ) from error
            record = log.SerializeToString()
            written += len(record)
            if written > _BYTES:
                break
            writer.write(record)


def read_warm_up(directory: Path) -> list[Any]:
    """The records of a SavedModel's warm-up file, as PredictionLog; empty where there is no file.

    Raises:
        VerificationError: The file is damaged.
    """
    path = directory / FILE
    if not path.is_file():
        return []
    try:
        records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        return [protocol().PredictionLog.FromString(record) for record in records]
    except VerificationError:
        raise
    except Exception as error:
        raise VerificationError(f"{str(path)!r} is damaged: {reason(error)}") from error


def run(log: Any, served: Served) -> None:
    """Runs one record as the server would.

    Args:
        log: A PredictionLog.
        served: The SavedModel.

    Raises:
        KeyError: The SavedModel has no such signature.
        ValueError: The record is of a kind, or has inputs, that the server refuses.
        tf.errors.OpError: A kernel fails.
    """
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        _run_predict(log.predict_log.request, served)
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        _run_examples(request.model_spec.signature_name, request.input, served)
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            _run_examples(task.model_spec.signature_name, request.input, served)
    else:
        raise ValueError(f"TensorFlow Serving does not warm up with a {kind or 'record without a log'}")


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
    from tfkit_serving.protocol.tensors import to_proto

    log = protocol().PredictionLog()
    log.predict_log.request.model_spec.signature_name = "serving_default"
    for name, values in row.items():
        log.predict_log.request.inputs[name].CopyFrom(to_proto(values))
    return log


def _example_log(name: str, example: Any) -> Any:
    log = protocol().PredictionLog()
    request = (log.classify_log if name == "classify" else log.regress_log).request
    request.model_spec.signature_name = name
    request.input.example_list.examples.add().MergeFromString(example.SerializeToString())
    return log


def _run_predict(request: Any, served: Served) -> None:
    from tfkit_serving.protocol.tensors import to_array

    served.run(request.model_spec.signature_name, {name: to_array(proto) for name, proto in request.inputs.items()})


def _run_examples(name: str, given: Any, served: Served) -> None:
    served.run(name, {INPUT: [example.SerializeToString() for example in given.example_list.examples]})
