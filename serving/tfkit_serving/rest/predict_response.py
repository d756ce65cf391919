"""The arrays of an answer in JSON, letter for letter as TensorFlow Serving writes them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from tfkit_serving.protocol.dtypes import type_name, type_number
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.json_writer import quote

_LEVEL = "    "
_INTEGERS = frozenset(map(np.dtype, ("int8", "uint8", "int16", "int32", "int64", "uint32", "uint64")))


def write_predictions(outputs: Mapping[str, np.ndarray], *, row: bool) -> bytes:
    r"""The body of an answer to a predict request.

    Args:
        outputs: arrays by the signature's output names; strings are object arrays of bytes. An output whose name ends
            in `_bytes` is written in base64.
        row: whether the request was in row form; then every output must have the same first dimension.

    Returns:
        JSON; bytes of strings that are not UTF-8 are in it as they are.

    Raises:
        ServingError: INVALID_ARGUMENT where the form cannot hold the outputs.

    Example:
        >>> print(write_predictions({"y": np.array([[1, 0.1]], np.float32)}, row=True).decode())
        {
            "predictions": [[1.0, 0.1]
            ]
        }
    """
    if not outputs:
        raise _invalid("Cannot convert empty tensor map to JSON")
    text = _row_form(outputs) if row else _column_form(outputs)
    # Strings of bytes went through latin-1, one character a byte.
    return text.encode("latin-1")


def _row_form(outputs: Mapping[str, np.ndarray]) -> str:
    rows = _common_rows(outputs)
    if not rows:
        return '{\n    "predictions": []\n}'
    items: list[str]
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return '{\n    "predictions": [' + ", ".join(_inline_rows(name, array)) + "\n    ]\n}"
    columns = [(_key(name), _inline_rows(name, array, level=3)) for name, array in sorted(outputs.items())]
    items = []
    for place in range(rows):
        members = ",\n            ".join(f"{key}: {texts[place]}" for key, texts in columns)
        items.append("\n        {\n            " + members + "\n        }")
    return '{\n    "predictions": [' + ",".join(items) + "\n    ]\n}"


def _common_rows(outputs: Mapping[str, np.ndarray]) -> int:
    rows = -1
    for name, array in sorted(outputs.items()):
        if not array.ndim:
            raise _invalid(f"Tensor name: {name} has no shape information ")
        if rows not in (-1, len(array)):
            raise _invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {rows}")
        rows = len(array)
    return rows


def _inline_rows(name: str, array: np.ndarray, level: int = 2) -> list[str]:
    """The text of every row, its lists on one line."""
    texts = leaf_texts(name, array, level + array.ndim - 1)
    if array.ndim == 1:
        return texts
    if array.ndim == 2 and len(array) == 1:
        return ["[" + ", ".join(texts) + "]"]
    leaves = iter(texts)
    return [_inline(array.shape[1:], leaves) for _ in range(len(array))]


def _inline(shape: tuple[int, ...], leaves: Iterator[str]) -> str:
    if len(shape) == 1:
        return "[" + ", ".join(islice(leaves, shape[0])) + "]"
    return "[" + ", ".join(_inline(shape[1:], leaves) for _ in range(shape[0])) + "]"


def _column_form(outputs: Mapping[str, np.ndarray]) -> str:
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return '{\n    "outputs": ' + _block(name, array, 1) + "\n}"
    members = ",\n        ".join(f"{_key(name)}: {_block(name, array, 2)}" for name, array in sorted(outputs.items()))
    return '{\n    "outputs": {\n        ' + members + "\n    }\n}"


def _block(name: str, array: np.ndarray, level: int) -> str:
    return _indented(array.shape, iter(leaf_texts(name, array, level + array.ndim)), level)


def _indented(shape: tuple[int, ...], leaves: Iterator[str], level: int) -> str:
    if not shape:
        return next(leaves)
    if not shape[0]:
        return "[]"
    indent = "\n" + _LEVEL * (level + 1)
    items = (
        islice(leaves, shape[0])
        if len(shape) == 1
        else (_indented(shape[1:], leaves, level + 1) for _ in range(shape[0]))
    )
    return "[" + indent + ("," + indent).join(items) + "\n" + _LEVEL * level + "]"


def _key(name: str) -> str:
    return quote(name.encode("utf-8", "surrogateescape")).decode("latin-1")


def leaf_texts(name: str, array: np.ndarray, level: int = 1) -> list[str]:
    """The text of every element of an array, in row order.

    Args:
        name: the output's; `_bytes` at its end means base64.
        array: of a dtype that REST carries.
        level: how deep the elements lie, for the objects that hold base64.

    Raises:
        ServingError: INVALID_ARGUMENT for other dtypes.
    """
    flat = array.reshape(-1)
    if array.dtype == np.float32:
        return float_texts(flat, "%.9g")
    if array.dtype == np.float64:
        return float_texts(flat, "%.17g")
    if array.dtype in _INTEGERS:
        return list(map(str, flat.tolist()))
    if array.dtype == np.bool_:
        return ["true" if value else "false" for value in flat.tolist()]
    if array.dtype == object:
        write = _base64_object if name.endswith("_bytes") else _string
        return [write(value, level) for value in flat.tolist()]
    if not array.size:
        return []
    raise _invalid(f"Failed to write JSON value for tensor type: {type_name(type_number(array.dtype))}")


def _string(value: bytes, level: int) -> str:
    return quote(value).decode("latin-1")


def _base64_object(value: bytes, level: int) -> str:
    outer = "\n" + _LEVEL * level
    return "{" + outer + _LEVEL + '"b64": "' + base64.b64encode(value).decode() + '"' + outer + "}"


def float_texts(flat: np.ndarray, full: str) -> list[str]:
    """The texts of a row of float32 or float64 values: six digits where they read back, else `full`.

    Example:
        >>> float_texts(np.array([2, 0.1, 1 / 3, np.nan], np.float32), "%.9g")
        ['2.0', '0.1', '0.333333343', 'NaN']
    """
    count = len(flat)
    if not count:
        return []
    values = tuple(flat.tolist())
    joined = ("%g " * count) % values
    if "n" in joined:  # nan, inf
        return [_float_text(value, text, full, flat.dtype) for value, text in zip(values, joined.split())]
    short = joined.split()
    same = np.array(list(map(float, short)), flat.dtype) == flat
    if same.all():
        texts = short
    else:
        joined = (full + " ") * count % values
        texts = joined.split()
        if same.any():
            texts = [brief if enough else text for brief, text, enough in zip(short, texts, same.tolist())]
            joined = " ".join(texts)
    if joined.count(".") == count:
        return texts
    return [text if "." in text or "e" in text else text + ".0" for text in texts]


def _float_text(value: float, short: str, full: str, dtype: np.dtype) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    text = short if dtype.type(float(short)) == value else full % value
    return text if "." in text or "e" in text else text + ".0"


def _invalid(message: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", message)
