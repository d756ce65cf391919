"""A predict request in JSON becomes arrays, with TensorFlow Serving's rules and texts.

This is the reference: it reads any body and says exactly what is wrong with it. `fast_request` takes the plain ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tfkit_serving.protocol.dtypes import numpy_dtype, type_name
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.base64_values import decode_base64, is_base64
from tfkit_serving.rest.json_reader import MISSING, Members, Value, parse_json
from tfkit_serving.rest.json_writer import value_text
from tfkit_serving.rest.numbers import CASTS, STRING, TensorData, check_value
from tfkit_serving.servables.signature import Signature, TensorInfo

FindSignature = Callable[[str], Signature]


@dataclass(frozen=True, slots=True)
class PredictInputs:
    """What a predict request asks for.

    Attributes:
        signature: the name given, empty for the default one.
        row: whether the request was in row form (`instances`), which the answer then has, too.
        inputs: the arrays by the signature's input names; strings are object arrays of bytes.
    """

    signature: str
    row: bool
    inputs: Mapping[str, np.ndarray]


def read_predict_request(body: bytes, find_signature: FindSignature, max_depth: int = 64) -> PredictInputs:
    """Read the body of a predict request.

    Args:
        body: JSON as it came.
        find_signature: gives the signature of a name, empty for the default; raises ServingError. It is called once the
            body has been parsed, as the real server does: a body that is not JSON is told before an unknown model.
        max_depth: how deep lists and objects may lie in each other.

    Returns:
        The signature's name, the form, and the arrays.

    Raises:
        ServingError: in the words of the real server.
    """
    document = read_document(body, max_depth)
    name = signature_name(document)
    signature = find_signature(name)
    if not signature.inputs:
        raise _invalid(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    instances, inputs = document.find(b"instances"), document.find(b"inputs")
    if instances is not MISSING and inputs is not MISSING:
        raise format_error(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if instances is not MISSING:
        if not isinstance(instances, list) or isinstance(instances, Members):
            raise format_error(document, "Expecting 'instances' to be an list/array")
        if not instances:
            raise format_error(document, "No values in 'instances' array")
        return PredictInputs(name, True, _from_rows(instances, signature.inputs))
    if inputs is not MISSING:
        return PredictInputs(name, False, _from_columns(inputs, signature.inputs))  # type: ignore[arg-type]
    raise _invalid("Missing 'inputs' or 'instances' key")


def read_document(body: bytes, max_depth: int) -> Members:
    """The members of a body that has to be an object."""
    document = parse_json(body, max_depth)
    if not isinstance(document, Members):
        raise format_error(document, "Is not object")
    return document


def signature_name(document: Members) -> str:
    """The member `signature_name`, empty where there is none."""
    name = document.find(b"signature_name")
    if name is MISSING:
        return ""
    if not isinstance(name, bytes):
        raise _invalid(
            f"JSON Value: {value_text(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return as_text(name)


def as_text(name: bytes) -> str:
    """A name from a request: bytes that are not UTF-8 survive the way back."""
    return name.decode("utf-8", "surrogateescape")


def format_error(value: Value, what: str) -> ServingError:
    """The error that shows the value it is about."""
    return _invalid(f"JSON Value: {value_text(value)} {what}")


def _invalid(message: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", message)


def _from_rows(rows: list[Value], infos: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    if not isinstance(rows[0], Members) and len(infos) > 1:
        raise _invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    batches = _Batches(infos)
    read = _read_named_row if _is_row_object(rows[0]) else _read_plain_row
    for place, row in enumerate(rows):
        read(batches, place, row)
    return {name: batch.array(len(rows)) for name, batch in batches.items()}


def _read_named_row(batches: _Batches, place: int, row: Value) -> None:
    if not _is_row_object(row):
        raise _invalid(f"Expecting object but got list at item {place} of input list")
    assert isinstance(row, Members)
    names = set()
    for key, value in row:
        name = as_text(key.partition(b"\0")[0])
        names.add(name)
        try:
            batches.add(name, value)
        except ServingError as error:
            raise _invalid(f"Failed to process element: {place} key: {name}{_of_instances(error)}") from None
    if names != set(batches.infos):
        raise _invalid(
            f"Failed to process element: {place} of 'instances' list. JSON object: {value_text(row)} "
            f"keys must be equal to: {','.join(sorted(batches.infos))}"
        )


def _read_plain_row(batches: _Batches, place: int, row: Value) -> None:
    if _is_row_object(row):
        raise _invalid(f"Expecting value/list but got object at item {place} of input list")
    try:
        batches.add(next(iter(batches.infos)), row)
    except ServingError as error:
        raise _invalid(f"Failed to process element: {place}{_of_instances(error)}") from None


def _of_instances(error: ServingError) -> str:
    return f" of 'instances' list. Error: {error.code}: {error.message}"


def _is_row_object(row: Value) -> bool:
    return isinstance(row, Members) and not is_base64(row)


class _Batch:
    """The values of one input, row after row, and the shape that the first row set."""

    def __init__(self, dtype: int) -> None:
        self.dtype = dtype
        self.values: list[TensorData] = []
        self.size = 0
        self.shape: tuple[int, ...] | None = None

    def add(self, row: Value) -> None:
        shape = dense_shape(row)
        before = len(self.values)
        fill(row, 0, shape, self.dtype, self.values)
        size = len(self.values) - before
        if self.shape is None:
            self.shape, self.size = shape, size
        elif size != self.size:
            raise _invalid(f"Expecting tensor size: {self.size} but got: {size}")
        elif shape != self.shape:
            raise _invalid(f"Expecting shape {_shape_text(self.shape)} but got: {_shape_text(shape)}")

    def array(self, rows: int) -> np.ndarray:
        return as_array(self.values, self.dtype, (rows, *(self.shape or ())))


class _Batches(dict[str, _Batch]):
    """A batch for each input that the rows named."""

    def __init__(self, infos: Mapping[str, TensorInfo]) -> None:
        self.infos = infos

    def add(self, name: str, value: Value) -> None:
        if name not in self.infos:
            raise _invalid(f"JSON object: does not have named input: {name}")
        if name not in self:
            self[name] = _Batch(self.infos[name].dtype)
        self[name].add(value)


def _from_columns(value: Value, infos: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    if isinstance(value, Members) and not is_base64(value):
        return {name: _column(_named_input(value, name), info) for name, info in sorted(infos.items())}
    if len(infos) > 1:
        raise _invalid(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    return {name: _column(value, info) for name, info in infos.items()}


def _named_input(members: Members, name: str) -> Value:
    value = members.find(name.encode("utf-8", "surrogateescape"))
    if value is MISSING:
        raise _invalid(f"Missing named input: {name} in 'inputs' object.")
    return value  # type: ignore[return-value]


def _column(value: Value, info: TensorInfo) -> np.ndarray:
    shape = dense_shape(value)
    values: list[TensorData] = []
    fill(value, 0, shape, info.dtype, values)
    return as_array(values, info.dtype, shape)


def dense_shape(value: Value) -> tuple[int, ...]:
    """The shape that the first items of nested lists suggest.

    Example:
        >>> dense_shape([[1, 2], [3]]), dense_shape([[], [1]]), dense_shape(5)
        ((2, 2), (2, 0), ())
    """
    shape = []
    while isinstance(value, list) and not isinstance(value, Members):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def fill(value: Value, level: int, shape: tuple[int, ...], dtype: int, values: list[TensorData]) -> None:
    """Append the leaves of a value to `values`, checking that it has the shape and the dtype."""
    if isinstance(value, Members) or not isinstance(value, list):
        if level != len(shape):
            raise _invalid(
                f"JSON Value: {value_text(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        values.append(_leaf(value, dtype))
        return
    if level >= len(shape):
        raise _invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise _invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    items: list[Value] = value  # type: ignore[assignment]
    for item in items:
        fill(item, level + 1, shape, dtype, values)


def _leaf(value: Value, dtype: int) -> TensorData:
    if not isinstance(value, Members):
        return check_value(value, dtype)
    if dtype != STRING:
        raise _invalid(f"JSON Value: {value_text(value)} Type: Object is not of expected type: {type_name(dtype)}")
    if not is_base64(value):
        raise _invalid(f"JSON Value: {value_text(value)} not formatted correctly for base64 data")
    return decode_base64(value[0][1])  # type: ignore[arg-type]


def as_array(values: list[TensorData], dtype: int, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a list of checked leaves; surplus ones, from names given twice, are left out."""
    if not values:
        return _empty(dtype, shape)
    wide, narrow = CASTS[dtype]
    count = int(np.prod(shape, dtype=np.int64))
    if len(values) > count:
        values = values[:count]
    if wide is object:
        array: np.ndarray = np.empty(count, dtype=object)
        array[:] = values
    else:
        with np.errstate(all="ignore"):
            array = np.array(values, dtype=wide).astype(narrow, copy=False)
    return array.reshape(shape)


def _empty(dtype: int, shape: tuple[int, ...]) -> np.ndarray:
    """An array without values, which may be of any dtype: only values are refused."""
    try:
        return np.empty(shape, numpy_dtype(dtype))
    except TypeError as error:
        raise ServingError("UNIMPLEMENTED", str(error)) from None


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
