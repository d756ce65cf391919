"""Arrays in JSON, as TensorFlow Serving's REST API has them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfkit_serving.protocol.dtypes import numpy_dtype
from tfkit_serving.servables.signature import OPEN, TensorInfo

try:
    import orjson
except ModuleNotFoundError:  # it is of the extra `serving`; without it, everything goes the slow way
    orjson = None  # type: ignore[assignment]

_BASE64 = {"b64"}


def write_json(value: Any) -> bytes:
    """JSON of a value whose arrays may hold NaN and infinities; bytes are text, or base64 where they are none.

    Example:
        >>> write_json({"x": np.array([[0.5, np.nan]]), "s": [b"a", b"\\xff"]})
        b'{"x": [[0.5, NaN]], "s": ["a", {"b64": "/w=="}]}'
        >>> json.loads(write_json({"x": np.array([0.5, 3.4028235e38], "float32")}))
        {'x': [0.5, 3.4028234663852886e+38]}
    """
    if orjson is not None and _is_orjsons(value):
        return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(value, default=_plain).encode()


def read_json(body: bytes) -> Any:
    """A value from JSON, which may hold NaN and infinities, and strings that are not UTF-8 (as surrogate escapes).

    Raises:
        ValueError: It is no JSON.

    Example:
        >>> read_json(b'[NaN, "\\xff"]')
        [nan, '\\udcff']
    """
    if orjson is not None:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # what follows reads more, and says better what is wrong
    return json.loads(body.decode("utf-8", "surrogateescape"))


def read_array(value: Any, info: TensorInfo | None) -> np.ndarray:
    """An array from nested lists.

    Args:
        value: What `read_json` gave.
        info: Its dtype and shape; None where they are not known: then numbers are float64 or int64.

    Returns:
        The array; strings are objects holding bytes.

    Raises:
        ValueError: The values do not make an array of that dtype.

    Example:
        >>> read_array([{"b64": "/w=="}, "a"], None).tolist()
        [b'\\xff', b'a']
    """
    first = _first(value)
    if isinstance(first, (str, dict)):
        return _read_strings(value)
    if info is None:
        return np.array(value)
    dtype = numpy_dtype(info.dtype)
    if first is not None and (dtype.kind in "iu") != (type(first) is int):
        raise ValueError(f"{json.dumps(first)} is no {dtype.name}")
    array = np.array(value, dtype=dtype)
    return _with_rank(array, info.shape) if array.size == 0 else array


def _is_orjsons(value: Any) -> bool:
    """Whether orjson writes a value as a server reads it: NaN and infinities become null."""
    if isinstance(value, np.ndarray):
        # The shortest digits of float32's largest number, 3.4028235e38, lie beyond it: servers refuse them.
        return value.dtype.kind != "f" or bool((np.abs(value) < np.finfo(value.dtype).max).all())
    if isinstance(value, Mapping):
        return all(map(_is_orjsons, value.values()))
    if isinstance(value, list):
        return all(map(_is_orjsons, value))
    return not isinstance(value, float) or value - value == 0


def _plain(value: Any) -> Any:
    """What JSON's writers do not know."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _first(value: Any) -> Any:
    while isinstance(value, list):
        if not value:
            return None
        value = value[0]
    return value


def _read_strings(value: Any) -> np.ndarray:
    nested = np.array(value, dtype=object)
    found: np.ndarray = np.empty(nested.size, dtype=object)
    found[:] = [_bytes(each) for each in nested.ravel().tolist()]
    return found.reshape(nested.shape)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, dict) and value.keys() == _BASE64:
        return base64.b64decode(value["b64"], validate=True)
    raise ValueError(f"a string is expected; got {type(value).__name__}")


def _with_rank(array: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """JSON has no form for the dimensions behind an empty one; the signature tells how many there are."""
    if shape is None or len(shape) <= array.ndim:
        return array
    known = [0 if size == OPEN else size for size in shape[array.ndim :]]
    return array.reshape(*array.shape, *known)
