"""From JSON to arrays: the values of one input, checked against its dtype and shape, with errors in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfkit.formats.signature import Tensor

# JSON's integers and numbers; other dtypes than these and string have no form in JSON.
_WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_KINDS = {"integer": "iu", "number": "iuf", "boolean": "b"}
_REAL = ("float16", "float32", "float64", "bfloat16")


def carries(tensor: Tensor) -> bool:
    """Whether JSON carries an input: a known dtype, and an open first dimension to gather rows in.

    Example:
        >>> carries(Tensor("text", "string", (None, 1))), carries(Tensor("wave", "complex64", (None, 8)))
        (True, False)
    """
    known = tensor.dtype in (*_WHOLE, *_REAL, "bool", "string")
    return known and len(tensor.shape) > 0 and tensor.shape[0] is None


def json_schema(tensor: Tensor) -> dict[str, Any]:
    """The JSON schema of one row of an input.

    Example:
        >>> json_schema(Tensor("pixels", "float32", (None, 64)))["maxItems"]
        64
    """
    schema: dict[str, Any] = {"type": _type(tensor.dtype)}
    for size in reversed(_row_shape(tensor)):
        bounds = {} if size is None else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **bounds}
    return schema


def expected(tensor: Tensor) -> str:
    """What one row of an input is, in words.

    Example:
        >>> expected(Tensor("pixels", "float32", (None, 8, 8)))
        '8 × 8 numbers in nested lists'
        >>> expected(Tensor("text", "string", (None, 1)))
        'a string'
    """
    one, many = _words(tensor.dtype)
    shape = _row_shape(tensor)
    if not shape:
        return one
    if len(shape) == 1:
        return f"a list of {many}" if shape[0] is None else f"a list of {shape[0]} {many}"
    return " × ".join("any" if size is None else str(size) for size in shape) + f" {many} in nested lists"


def read_value(tensor: Tensor, value: Any) -> np.ndarray:
    """One row of an input.

    Args:
        tensor: The input.
        value: What JSON gave.

    Returns:
        An array of the row's shape and the input's dtype; strings are objects of bytes.

    Raises:
        ValueError: It is something else; the text says what was expected and what was there.

    Example:
        >>> read_value(Tensor("pixels", "float32", (None, 2)), [0, 1.5])
        array([0. , 1.5], dtype=float32)
        >>> read_value(Tensor("pixels", "float32", (None, 2)), [0, "x"])
        Traceback (most recent call last):
            ...
        ValueError: expected a list of 2 numbers; got "x" at [1]
    """
    try:
        array = _as_array(value, tensor)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected {expected(tensor)}; got {_reason(error)}") from None
    if array.shape == () and tensor.shape[1:] == (1,):
        array = array.reshape(1)
    _check_shape(array.shape, tensor)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"expected {expected(tensor)}; got a number outside the range of {tensor.dtype}")
    return array


def stack(tensor: Tensor, rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows as one array, shape (rows, *row shape).

    Raises:
        ValueError: Their shapes differ, where the signature leaves a dimension open.
    """
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        odd = next(number for number, row in enumerate(rows) if row.shape != rows[0].shape)
        raise ValueError(
            f"the rows of one request must be of one shape; row 0 of {tensor.name!r} has {list(rows[0].shape)}, "
            f"row {odd} has {list(rows[odd].shape)}: pad them, or send them one by one"
        )
    found: np.ndarray = np.stack(rows)
    return found


def _row_shape(tensor: Tensor) -> tuple[int | None, ...]:
    """A row's shape as JSON has it: (1,) is a single value."""
    return () if tensor.shape[1:] == (1,) else tensor.shape[1:]


def _type(dtype: str) -> str:
    if dtype in _WHOLE:
        return "integer"
    return {"string": "string", "bool": "boolean"}.get(dtype, "number")


def _words(dtype: str) -> tuple[str, str]:
    words = {"integer": "whole number", "string": "string", "boolean": "boolean", "number": "number"}[_type(dtype)]
    return f"a {words}", f"{words}s"


def _as_array(value: Any, tensor: Tensor) -> np.ndarray:
    kind = _type(tensor.dtype)
    if kind == "string":
        _check_leaves(value, tensor)
        array = np.array(value, dtype=object)
        encoded = [text.encode() for text in array.ravel()]
        texts: np.ndarray = np.empty(array.shape, dtype=object)
        texts.reshape(-1)[:] = encoded
        return texts
    array = np.array(value)
    # numpy takes a list of numbers in one go; whatever else was in it shows in the dtype, and is then looked for.
    if array.size and array.dtype.kind not in _KINDS[kind]:
        _check_leaves(value, tensor)
        raise ValueError(f"a number outside the range of {tensor.dtype}")
    if kind == "integer":
        return _whole(array, tensor.dtype)
    # bfloat16 is the client's to round: numpy itself has no such dtype.
    with np.errstate(over="ignore"):
        found: np.ndarray = array.astype("float32" if tensor.dtype == "bfloat16" else tensor.dtype)
    return found


def _whole(array: np.ndarray, dtype: str) -> np.ndarray:
    bounds = np.iinfo(dtype)
    if array.size and not (bounds.min <= int(array.min()) and int(array.max()) <= bounds.max):
        raise ValueError(f"a number outside the range of {dtype}, {bounds.min} to {bounds.max}")
    found: np.ndarray = array.astype(dtype)
    return found


def _check_leaves(value: Any, tensor: Tensor) -> None:
    for path, leaf in _leaves(value, len(tensor.shape)):
        if not _fits(leaf, _type(tensor.dtype)):
            raise ValueError(f"{_show(leaf)}{_at(path)}")


def _leaves(value: Any, depth: int, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    """What is not a list, and where; a list that is nested too deep counts as a leaf."""
    if not isinstance(value, list) or len(path) >= depth:
        yield path, value
        return
    for number, each in enumerate(value):
        yield from _leaves(each, depth, (*path, number))


def _fits(leaf: Any, kind: str) -> bool:
    if kind == "string":
        return isinstance(leaf, str)
    if kind == "boolean":
        return isinstance(leaf, bool)
    return not isinstance(leaf, bool) and isinstance(leaf, int if kind == "integer" else (int, float))


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "half of a surrogate pair, which is no character"
    if "inhomogeneous" in str(error):
        return "lists of unequal length"
    return "lists nested too deep" if "dimension" in str(error) else str(error)


def _check_shape(shape: tuple[int, ...], tensor: Tensor) -> None:
    wanted = tensor.shape[1:]
    if len(shape) == len(wanted) and all(size in (None, got) for size, got in zip(wanted, shape)):
        return
    got = f"a list of {' × '.join(map(str, shape))}" if shape else "a single value"
    raise ValueError(f"expected {expected(tensor)}; got {got}")


def _at(path: tuple[int, ...]) -> str:
    return " at " + "".join(f"[{number}]" for number in path) if path else ""


def _show(leaf: Any) -> str:
    """A wrong value, short, as JSON would write it."""
    if leaf is None or isinstance(leaf, bool):
        return {None: "null", True: "true", False: "false"}[leaf]
    if isinstance(leaf, str):
        return f'"{leaf[:40]}"' + ("…" if len(leaf) > 40 else "")
    if isinstance(leaf, (dict, list)):
        return "an object" if isinstance(leaf, dict) else "a list"
    return f"{leaf!r}"[:40]
