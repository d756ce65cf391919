"""Classify and regress requests in JSON become tf.Examples, and their answers JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import Example, Feature
from tfkit_serving.rest.base64_values import decode_base64, is_base64
from tfkit_serving.rest.json_reader import MISSING, Members, Value
from tfkit_serving.rest.json_writer import decimal, quote, value_text
from tfkit_serving.rest.numbers import FLOAT, is_lossless, json_type
from tfkit_serving.rest.predict_request import (
    as_text,
    format_error,
    read_document,
    signature_name,
)


@dataclass(frozen=True, slots=True)
class ExampleInputs:
    """What a classify or regress request asks for.

    Attributes:
        signature: the name given, empty for the default one.
        examples: serialized tf.Examples.
        context: a serialized tf.Example whose features each example has as well, or None.
    """

    signature: str
    examples: list[bytes]
    context: bytes | None


def read_example_request(body: bytes, max_depth: int = 64) -> ExampleInputs:
    """Read the body of a classify or regress request.

    Raises:
        ServingError: INVALID_ARGUMENT in the words of the real server.
    """
    document = read_document(body, max_depth)
    name = signature_name(document)
    context = document.find(b"context")
    serialized = None if context is MISSING else _example(context)  # type: ignore[arg-type]
    examples = document.find(b"examples")
    if examples is MISSING:
        raise format_error(document, "When method is classify, key 'examples' is expected and was not found")
    if not isinstance(examples, list) or isinstance(examples, Members):
        raise format_error(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise format_error(document, "'examples' value is an empty array")
    return ExampleInputs(name, [_example(each) for each in examples], serialized)


def _example(value: Value) -> bytes:
    if not isinstance(value, Members):
        raise _invalid(f"Example must be JSON object but got JSON {json_type(value)}")
    example = Example()
    for key, content in value:
        name = as_text(key.partition(b"\0")[0])
        items = content if isinstance(content, list) and not isinstance(content, Members) else [content]
        feature = Feature()
        for item in items:
            _add(feature, name, item)
        try:
            example.features.feature[name].CopyFrom(feature)
        except (UnicodeError, ValueError):
            raise _invalid(f"Feature: {name} has a name that is not UTF-8") from None
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _add(feature: Any, name: str, value: Value) -> None:
    if isinstance(value, Members) and is_base64(value):
        _kind(feature, name, "bytes_list").append(decode_base64(value[0][1]))  # type: ignore[arg-type]
    elif value is None or isinstance(value, list):
        raise _invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")
    elif isinstance(value, bytes):
        _kind(feature, name, "bytes_list").append(value)
    elif isinstance(value, float):
        values = _kind(feature, name, "float_list")
        if not is_lossless(value, FLOAT):
            raise _invalid(f"Cannot convert JSON value: {value_text(value)} to float without loss of precision.")
        values.append(value)
    else:
        values = _kind(feature, name, "int64_list")
        if value >= 2**63:
            raise _invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
        values.append(int(value))


_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def _kind(feature: Any, name: str, kind: str) -> Any:
    """The feature's list of that kind, unless it has one of another already."""
    known = feature.WhichOneof("kind")
    if known is not None and known != kind:
        raise _invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[known]}")
    return getattr(feature, kind).value


def write_classifications(result: Any) -> bytes:
    """The answer to a classify request: for each example, its labels with their scores.

    Args:
        result: a ClassificationResult message.

    Raises:
        ServingError: INVALID_ARGUMENT, nothing was classified.
    """
    if not result.classifications:
        raise _invalid("Cannot convert empty ClassificationResults to JSON")
    rows = [
        b"[" + b", ".join(b"[" + quote(_bytes(each.label)) + b", " + _score(each.score) for each in row.classes) + b"]"
        for row in result.classifications
    ]
    return b'{\n    "results": [' + b", ".join(rows) + b"\n    ]\n}"


def _score(value: float) -> bytes:
    return decimal(value).encode() + b"]"


def _bytes(label: str | bytes) -> bytes:
    return label if isinstance(label, bytes) else label.encode("utf-8", "surrogateescape")


def write_regressions(result: Any) -> bytes:
    """The answer to a regress request: one value for each example.

    Args:
        result: a RegressionResult message.

    Raises:
        ServingError: INVALID_ARGUMENT, nothing came out.
    """
    if not result.regressions:
        raise _invalid("Cannot convert empty RegressionResults to JSON")
    values = ", ".join(decimal(each.value) for each in result.regressions)
    return b'{\n    "results": [' + values.encode() + b"]\n}"


def _invalid(message: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", message)
