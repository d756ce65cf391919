"""Which JSON values a dtype takes in REST, and which numpy types carry them.

The numbers of the dtypes are those of `tensorflow.DataType`.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn, TypeAlias

import numpy as np

from tfkit_serving.protocol.dtypes import type_name
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.json_reader import Members, Value
from tfkit_serving.rest.json_writer import value_text

FLOAT, DOUBLE, INT32, UINT8, INT16, INT8, STRING, INT64, BOOL, UINT32, UINT64 = 1, 2, 3, 4, 5, 6, 7, 9, 10, 22, 23
TensorData: TypeAlias = "bool | int | float | bytes"

# The type that a request's values are gathered in, and the tensor's: small integers wrap, as in the real server.
CASTS: dict[int, tuple[Any, Any]] = {
    FLOAT: (np.float64, np.float32),
    DOUBLE: (np.float64, np.float64),
    INT32: (np.int32, np.int32),
    INT16: (np.int32, np.int16),
    INT8: (np.int32, np.int8),
    UINT8: (np.int32, np.uint8),
    INT64: (np.int64, np.int64),
    UINT32: (np.uint32, np.uint32),
    UINT64: (np.uint64, np.uint64),
    BOOL: (np.bool_, np.bool_),
    STRING: (object, object),
}

LARGEST_FLOAT = float(np.finfo(np.float32).max)
# Whole numbers have to fit into the significand; numbers with a point or an exponent may be rounded.
LARGEST_WHOLE = {FLOAT: 2**24 - 1, DOUBLE: 2**53 - 1}
_INTEGERS = {
    **dict.fromkeys((INT32, INT16, INT8, UINT8), range(-(2**31), 2**31)),
    INT64: range(-(2**63), 2**63),
    UINT32: range(2**32),
    UINT64: range(2**64),
}


def check_value(value: Value, dtype: int) -> TensorData:
    """A leaf of a request, if the dtype takes it.

    Args:
        value: a JSON value that is neither list nor object.
        dtype: the number of the input's dtype.

    Returns:
        The value.

    Raises:
        ServingError: INVALID_ARGUMENT for the wrong kind of value, UNIMPLEMENTED for a dtype that REST does not carry.

    Example:
        >>> check_value(7, INT32), check_value(2.5, FLOAT), check_value(200, INT8)
        (7, 2.5, 200)
    """
    if dtype in LARGEST_WHOLE:
        return _real(value, dtype)
    if dtype in _INTEGERS:
        if type(value) is not int or value not in _INTEGERS[dtype]:
            _refuse(value, dtype)
        return value
    if dtype == STRING:
        if not isinstance(value, bytes):
            _refuse(value, dtype)
        return value
    if dtype == BOOL:
        if not isinstance(value, bool):
            _refuse(value, dtype)
        return value
    raise ServingError("UNIMPLEMENTED", f"Conversion of JSON Value: {value_text(value)} to type: {type_name(dtype)}")


def _real(value: Value, dtype: int) -> float:
    if type(value) is not int and type(value) is not float:
        _refuse(value, dtype)
    if not is_lossless(value, dtype):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Cannot convert JSON value: {value_text(value)} to {type_name(dtype)} without loss of precision.",
        )
    return float(value)


def is_lossless(value: int | float, dtype: int) -> bool:
    """Whether a number goes into a float or double as the real server understands it.

    Example:
        >>> is_lossless(2**24, FLOAT), is_lossless(2.0**24, FLOAT), is_lossless(1e39, FLOAT)
        (False, True, False)
    """
    if type(value) is int:
        return abs(value) <= LARGEST_WHOLE[dtype]
    return dtype == DOUBLE or not math.isfinite(value) or abs(value) <= LARGEST_FLOAT


def json_type(value: Value) -> str:
    """RapidJSON's name of a value's kind.

    Example:
        >>> json_type(None), json_type(True), json_type([]), json_type(1.5)
        ('Null', 'True', 'Array', 'Number')
    """
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    if isinstance(value, Members):
        return "Object"
    if isinstance(value, list):
        return "Array"
    return "String" if isinstance(value, bytes) else "Number"


def _refuse(value: Value, dtype: int) -> NoReturn:
    raise ServingError(
        "INVALID_ARGUMENT",
        f"JSON Value: {value_text(value)} Type: {json_type(value)} is not of expected type: {type_name(dtype)}",
    )
