"""Frames between the server and a version's process: a JSON header, then the arrays' bytes as they lie in memory.

A frame is `<uint64 length of the rest><uint32 length of the header><header><bytes of array 0><bytes of array 1>…`. The
header names each array with its dtype and shape; an array of strings is the lengths as uint32, then the strings. Header
and arrays are padded to 16 bytes, so that arrays lie aligned where they arrive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

Buffers = list[Any]

PREFIX = struct.Struct("<QI")
_STRINGS = "O"
_ALIGNMENT = 16
# The arrays of a longer frame are read by whoever looks at them: a million strings take a quarter of a second.
_LONG_FRAME = 1 << 16


class Packed(Mapping[str, np.ndarray]):
    """The arrays of a long frame, read at the first look at one of them. A frame takes them over as they lie.

    Attributes:
        table: Name, dtype and shape of each.
        data: Their bytes.
    """

    def __init__(self, table: Sequence[tuple[str, str, Sequence[int]]], data: memoryview) -> None:
        self.table, self.data = table, data
        self._arrays: dict[str, np.ndarray] | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        if self._arrays is None:
            self._arrays = _read(self.table, self.data)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _, _ in self.table)

    def __len__(self) -> int:
        return len(self.table)


def encode(message: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> Buffers:
    """A message with arrays as buffers to write one after another.

    Args:
        message: What JSON holds.
        arrays: Arrays by name; strings are object arrays of bytes.

    Returns:
        Buffers, the first with the frame's prefix and header. Numbers are not copied.

    Raises:
        TypeError: An element of an object array is no bytes.

    Example:
        >>> frame = b"".join(encode({"id": 1}, {"x": np.array([[1.0, 2.0]], np.float32)}))
        >>> decode(frame[4 + 8:], header_length=PREFIX.unpack_from(frame)[1])
        ({'id': 1}, {'x': array([[1., 2.]], dtype=float32)})
    """
    table: Sequence[Any] = []
    buffers: Buffers = []
    if type(arrays) is Packed:
        table, buffers = arrays.table, [arrays.data]
    elif arrays:
        table, buffers = _laid_out(arrays)
    size = sum(part.nbytes for part in buffers)
    header = orjson.dumps({**message, "arrays": table})
    header += b" " * (-len(header) % _ALIGNMENT)
    return [PREFIX.pack(PREFIX.size - 8 + len(header) + size, len(header)) + header, *buffers]


def decode(body: Any, header_length: int) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
    """The message and arrays of a frame's body, which is what follows the prefix.

    Args:
        body: Bytes that nobody else writes to: arrays of numbers are views of them.
        header_length: The second number of the prefix.

    Returns:
        The message and its arrays by name.
    """
    view = memoryview(body)
    message = orjson.loads(view[:header_length])
    table, data = message.pop("arrays"), view[header_length:]
    return message, Packed(table, data) if len(data) > _LONG_FRAME else _read(table, data)


def _laid_out(arrays: Mapping[str, np.ndarray]) -> tuple[list[Any], Buffers]:
    table: list[Any] = []
    buffers: Buffers = []
    for name, array in arrays.items():
        dtype, parts = _parts(array)
        table.append((name, dtype, array.shape))
        length = sum(part.nbytes for part in parts)
        buffers += [*parts, memoryview(bytes(-length % _ALIGNMENT))]
    return table, buffers


def _read(table: Sequence[tuple[str, str, Sequence[int]]], data: memoryview) -> dict[str, np.ndarray]:
    arrays, at = {}, 0
    for name, dtype, shape in table:
        arrays[name], at = _array(data, at, dtype, tuple(shape))
        at += -at % _ALIGNMENT
    return arrays


def _parts(array: np.ndarray) -> tuple[str, list[memoryview]]:
    if array.dtype == object:
        items: Sequence[bytes] = array.ravel().tolist()
        lengths = np.fromiter(map(len, items), np.uint32, len(items))
        return _STRINGS, [_bytes(lengths), memoryview(b"".join(items))]
    # TensorFlow's own dtypes, as bfloat16, are known by name alone.
    dtype = array.dtype.name if array.dtype.kind == "V" else array.dtype.str
    return dtype, [_bytes(np.ascontiguousarray(array))]


def _bytes(array: np.ndarray) -> memoryview:
    flat: Any = array.reshape(-1).view(np.uint8) if array.size else b""
    return memoryview(flat)


def _array(view: memoryview, at: int, dtype: str, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    count = 1
    for each in shape:
        count *= each
    if dtype == _STRINGS:
        return _strings(view, at, shape, count)
    kind = _dtype(dtype)
    end = at + count * kind.itemsize
    return np.frombuffer(view[at:end], kind).reshape(shape), end


def _strings(view: memoryview, at: int, shape: tuple[int, ...], count: int) -> tuple[np.ndarray, int]:
    start = at + 4 * count
    lengths = np.frombuffer(view[at:start], np.uint32)
    array: np.ndarray = np.empty(count, object)
    for index, length in enumerate(lengths.tolist()):
        array[index] = bytes(view[start : start + length])
        start += length
    return array.reshape(shape), start


def _dtype(name: str) -> Any:
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # makes its names known to numpy

        return np.dtype(getattr(ml_dtypes, name))
