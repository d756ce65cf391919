"""An example row: what a client would send for one row, as JSON has it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

# A row of more numbers helps nobody who reads it.
_MOST = 10_000


def example_row(arrays: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first row of arrays as JSON holds it.

    Args:
        arrays: Arrays by name, rows first.

    Returns:
        Numbers, strings and lists by name; bytes that are no UTF-8 as {"b64": …}. None where a row has more than
        10,000 values, or one that JSON cannot hold.

    Example:
        >>> import numpy as np
        >>> example_row({"text": np.array([[b"good"]], object), "x": np.array([[0.1]], "float32")})
        {'text': ['good'], 'x': [0.1]}
    """
    if sum(array[:1].size for array in arrays.values()) > _MOST:
        return None
    if any(array.dtype.kind == "c" for array in arrays.values()):
        return None
    return {name: _plain(array[:1].tolist()[0]) for name, array in arrays.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, (bool, int, str)):
        return value
    # As a reader would write it; the digits that a float32 has beyond these matter to no example.
    return float(f"{float(value):.7g}")
