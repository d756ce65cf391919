"""Arrays from `TensorProto`, and back."""

from __future__ import annotations

import functools
import math
import sys
from typing import Any

import numpy as np

from tfkit_serving.protocol.dtypes import enum_name, numpy_dtype, type_number
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import TensorProto

# The typed field that holds a dtype's values, by numpy's name.
_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int32": "int_val", "uint8": "int_val", "int16": "int_val",
    "int8": "int_val", "uint16": "int_val", "int64": "int64_val", "bool": "bool_val", "uint32": "uint32_val",
    "uint64": "uint64_val", "complex64": "scomplex_val", "complex128": "dcomplex_val", "float16": "half_val",
    "bfloat16": "half_val",
}  # fmt: skip
# Those whose values have one width on the wire lie there as in an array: a million take 2 ms, as objects 40.
_TAGS = {
    field: bytes([TensorProto.DESCRIPTOR.fields_by_name[field].number << 3 | 2])
    for field in ("float_val", "double_val", "scomplex_val", "dcomplex_val", "bool_val")
    if sys.byteorder == "little"
}
_STRING = 7
_FEW = 64  # so many objects are as fast
# A request of a few bytes may stand for a tensor of many; a larger one has to be sent.
_MOST_FILLED_BYTES = 1 << 24
_STRING_BYTES = 64  # what a string is counted as, whatever its length
# As in TensorFlow; the product of a hundred thousand sizes takes 20 s.
_MOST_DIMENSIONS = 254


def to_proto(array: Any) -> Any:
    """A TensorProto with an array's values in its typed field.

    Args:
        array: A numpy array, or what makes one; strings as str, bytes, or objects of either.

    Raises:
        TypeError: TensorFlow has no dtype for it, or an object array holds other than strings.

    Example:
        >>> to_proto(np.float32([[1, 2]])).float_val
        [1.0, 2.0]
    """
    array = np.asarray(array)
    number, field = _form(array.dtype)
    proto = _shaped(number, array)
    if number == _STRING:
        proto.string_val.extend([_bytes(each) for each in array.ravel().tolist()])
        return proto
    array = _native(array)
    if field is not None:
        flat = _parts(array.ravel(), field)
        if flat.size > _FEW and field in _TAGS:
            proto.MergeFromString(_TAGS[field] + _varint(flat.nbytes) + flat.tobytes())
        else:
            getattr(proto, field).extend(flat.tolist())
    elif array.dtype.name.startswith("float8"):
        proto.float8_val = array.tobytes()
    else:
        proto.tensor_content = array.tobytes()
    return proto


def to_content_proto(array: Any) -> Any:
    """A TensorProto with an array's values in raw bytes; strings stay in their typed field.

    Args:
        array: As for `to_proto`.

    Raises:
        TypeError: As `to_proto`.

    Example:
        >>> to_content_proto(np.int16([1, 2])).tensor_content
        b'\\x01\\x00\\x02\\x00'
    """
    array = np.asarray(array)
    number, _ = _form(array.dtype)
    if number == _STRING:
        return to_proto(array)
    proto = _shaped(number, array)
    proto.tensor_content = _native(array).tobytes()
    return proto


def to_array(proto: Any) -> np.ndarray:
    """The array of a TensorProto, from its typed field or `tensor_content`.

    As in TensorFlow, the last value of a typed field stands for those that are left out, zero where there is none, and
    values beyond the shape are ignored.

    Raises:
        ServingError: INVALID_ARGUMENT: the number of values does not fit the shape, or the dtype is none of numpy's.

    Example:
        >>> to_array(to_proto([b"a", b"b"])).tolist()
        [b'a', b'b']
    """
    try:
        dtype = numpy_dtype(proto.dtype)
    except TypeError as error:
        raise ServingError("INVALID_ARGUMENT", str(error)) from None
    shape = _shape(proto)
    size = math.prod(shape)
    values = _content(proto, dtype, shape, size) if proto.tensor_content else _held(proto, dtype)[:size]
    if len(values) < size:
        values = _filled(proto, values, dtype, shape, size)
    try:
        return values.reshape(shape)
    except ValueError as error:  # more dimensions than numpy has, or empty and too large nevertheless
        raise _wrong(proto, f"shape {list(shape)}: {error}") from None


@functools.lru_cache(64)
def _form(dtype: np.dtype) -> tuple[int, str | None]:
    """The DataType of a numpy dtype, and the field that holds its values; looking up a dtype's name takes long."""
    return type_number(dtype), _FIELDS.get(dtype.name)


def _shaped(number: int, array: np.ndarray) -> Any:
    """A TensorProto with an array's dtype and shape."""
    proto = TensorProto(dtype=number)
    if not array.shape:
        proto.tensor_shape.SetInParent()  # no dimensions are a shape, too
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def _native(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _shape(proto: Any) -> tuple[int, ...]:
    dimensions = len(proto.tensor_shape.dim)
    if dimensions > _MOST_DIMENSIONS:
        raise _wrong(proto, f"{dimensions} dimensions; TensorFlow has {_MOST_DIMENSIONS} at most")
    shape = tuple([each.size for each in proto.tensor_shape.dim])
    if proto.tensor_shape.unknown_rank or (shape and min(shape) < 0):
        raise _wrong(proto, "its shape is not known")
    return shape


def _content(proto: Any, dtype: np.dtype, shape: tuple[int, ...], size: int) -> np.ndarray:
    content = proto.tensor_content
    if dtype.kind == "O":
        raise _wrong(proto, "strings go into string_val")
    if len(content) != size * dtype.itemsize:
        raise _wrong(proto, f"tensor_content of {len(content)} bytes for shape {list(shape)}")
    return np.frombuffer(content, dtype=dtype)


def _filled(proto: Any, values: np.ndarray, dtype: np.dtype, shape: tuple[int, ...], size: int) -> np.ndarray:
    if size * (_STRING_BYTES if dtype.kind == "O" else dtype.itemsize) > _MOST_FILLED_BYTES:
        raise _wrong(proto, f"{len(values)} values for shape {list(shape)}, of more than {_MOST_FILLED_BYTES} bytes")
    last = values[-1] if len(values) else b"" if dtype.kind == "O" else dtype.type(0)
    array: np.ndarray = np.empty(size, dtype)
    array[: len(values)] = values
    array[len(values) :] = last
    return array


def _held(proto: Any, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "O":
        texts: np.ndarray = np.empty(len(proto.string_val), dtype=object)
        texts[:] = list(proto.string_val)
        return texts
    _, field = _form(dtype)
    if field is None:
        return np.frombuffer(proto.float8_val if dtype.name.startswith("float8") else b"", dtype)
    values = getattr(proto, field)
    if field == "half_val":
        return np.array(values, dtype=np.int32).astype(np.uint16).view(dtype)
    if field == "int_val":
        return np.array(values, dtype=np.int32).astype(dtype)
    wire = dtype if dtype.kind != "c" else np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)
    array = np.array(values, dtype=wire)
    return array if wire is dtype else array[: len(array) // 2 * 2].view(dtype)


def _parts(flat: np.ndarray, field: str) -> np.ndarray:
    """The numbers of a flat array as its field holds them."""
    if field == "half_val":
        return flat.view(np.uint16)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"an array of objects holds strings alone; got {type(value).__name__}")


def _wrong(proto: Any, why: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", f"a {enum_name(proto.dtype)} tensor cannot be read: {why}")
