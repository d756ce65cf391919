"""The quick way through a plain predict request: orjson, then numpy, with all checks in C.

It takes a body only where the result is exactly what `predict_request` would give, and leaves all others, and every
error, to that. What orjson would hide is made visible by counting: a name that came twice leaves more quotation marks
in the body than the parsed document has strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import orjson

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.base64_values import decode_base64
from tfkit_serving.rest.numbers import BOOL, CASTS, LARGEST_WHOLE, STRING, is_lossless
from tfkit_serving.rest.predict_request import FindSignature, PredictInputs
from tfkit_serving.servables.signature import TensorInfo

_REAL, _WHOLE, _TRUTH = frozenset((int, float)), frozenset((int,)), frozenset((bool,))
# A sum of squares below the next power of two's square proves every value to be below it, and finite.
_SAFE_SQUARES = {dtype: float((largest + 1) ** 2) for dtype, largest in LARGEST_WHOLE.items()}


class _NotPlain(Exception):
    """The exact way has to look at this body."""


def read_plain_request(body: bytes, find_signature: FindSignature) -> PredictInputs | None:
    """Read a predict request if it is a plain one.

    Args:
        body: JSON as it came.
        find_signature: as for `read_predict_request`.

    Returns:
        What `read_predict_request` would return, or None where the exact way has to decide.
    """
    try:
        document = orjson.loads(body)
        return _read(body, document, find_signature)
    except (_NotPlain, orjson.JSONDecodeError, ServingError, TypeError, ValueError, OverflowError):
        return None


def _read(body: bytes, document: Any, find_signature: FindSignature) -> PredictInputs:
    if type(document) is not dict:
        raise _NotPlain
    strings = len(document)
    name = ""
    if "signature_name" in document:
        name = document["signature_name"]
        strings += 1
        if type(name) is not str:
            raise _NotPlain
    row = "instances" in document
    if len(document) != 1 + ("signature_name" in document) or not (row or "inputs" in document):
        raise _NotPlain
    infos = find_signature(name).inputs
    if not infos:
        raise _NotPlain
    found = (_rows if row else _columns)(document["instances" if row else "inputs"], infos)
    strings += sum(count for _, count in found.values())
    if row and len(infos) > 0 and type(document["instances"][0]) is dict and "b64" not in document["instances"][0]:
        strings += len(document["instances"]) * len(infos)
    elif not row and type(document["inputs"]) is dict and "b64" not in document["inputs"]:
        strings += len(infos)
    if _quotes(body) != 2 * strings:
        raise _NotPlain
    return PredictInputs(name, row, {name: array for name, (array, _) in found.items()})


def _quotes(body: bytes) -> int:
    if b"\\" not in body:
        return body.count(b'"')
    if b"\\u0000" in body:
        raise _NotPlain
    return body.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')


def _rows(rows: Any, infos: Mapping[str, TensorInfo]) -> dict[str, tuple[np.ndarray, int]]:
    if type(rows) is not list or not rows:
        raise _NotPlain
    if type(rows[0]) is not dict or "b64" in rows[0]:
        return _single(rows, infos)
    if set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(infos)}:
        raise _NotPlain
    try:
        return {name: tensor([row[name] for row in rows], info.dtype) for name, info in infos.items()}
    except KeyError:
        raise _NotPlain from None


def _columns(value: Any, infos: Mapping[str, TensorInfo]) -> dict[str, tuple[np.ndarray, int]]:
    if type(value) is not dict or "b64" in value:
        return _single(value, infos)
    if value.keys() != infos.keys():
        raise _NotPlain
    return {name: tensor(value[name], info.dtype) for name, info in sorted(infos.items())}


def _single(value: Any, infos: Mapping[str, TensorInfo]) -> dict[str, tuple[np.ndarray, int]]:
    if len(infos) != 1:
        raise _NotPlain
    ((name, info),) = infos.items()
    return {name: tensor(value, info.dtype)}


def tensor(value: Any, dtype: int) -> tuple[np.ndarray, int]:
    """The array of a plain value of orjson's, and how many strings it was made from.

    Raises:
        _NotPlain, ValueError, TypeError, OverflowError: the exact way has to decide.

    Example:
        >>> tensor([[1, 2.5]], 1)
        (array([[1. , 2.5]], dtype=float32), 0)
    """
    if dtype == STRING:
        return _strings(value)
    if dtype not in CASTS:
        raise _NotPlain
    wide, narrow = CASTS[dtype]
    array = np.array(value, wide)
    if dtype in _SAFE_SQUARES:
        if not set(map(type, _leaves(value, array.ndim))) <= _REAL:
            raise _NotPlain
        # The sum is not below anything if one value is infinite.
        if not np.vdot(array, array) < _SAFE_SQUARES[dtype] and not _all_lossless(value, array.ndim, dtype):
            raise _NotPlain
        return array.astype(narrow, copy=False), 0
    if not set(map(type, _leaves(value, array.ndim))) <= (_TRUTH if dtype == BOOL else _WHOLE):
        raise _NotPlain
    return array.astype(narrow, copy=False), 0


def _leaves(value: Any, depth: int) -> Iterable[Any]:
    if depth == 0:
        return (value,)
    leaves: Iterable[Any] = value
    for _ in range(depth - 1):
        leaves = chain.from_iterable(leaves)
    return leaves


def _all_lossless(value: Any, depth: int, dtype: int) -> bool:
    return all(is_lossless(leaf, dtype) for leaf in _leaves(value, depth))


def _strings(value: Any) -> tuple[np.ndarray, int]:
    shape = np.array(value, object).shape
    leaves = list(_leaves(value, len(shape)))
    kinds = set(map(type, leaves))
    if kinds <= {str}:
        texts = [leaf.encode() for leaf in leaves]
        count = len(texts)
    elif kinds <= {str, dict}:
        texts = [leaf.encode() if type(leaf) is str else _decoded(leaf) for leaf in leaves]
        count = len(texts) + sum(type(leaf) is dict for leaf in leaves)
    else:
        raise _NotPlain
    array: np.ndarray = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape), count


def _decoded(leaf: dict[str, Any]) -> bytes:
    text = leaf.get("b64")
    if len(leaf) != 1 or type(text) is not str:
        raise _NotPlain
    return decode_base64(text.encode())
