"""Bytes in JSON: an object with the one member `b64`."""

from __future__ import annotations

import base64
import binascii
import re

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.json_reader import Members, Value


def is_base64(value: Value) -> bool:
    """Whether a value is an object with the one member `b64`, a string."""
    return isinstance(value, Members) and len(value) == 1 and value[0][0] == b"b64" and isinstance(value[0][1], bytes)


_BASE64 = re.compile(rb"([A-Za-z0-9+/]*)([=.]*)")
_WHITE = b" \t\n\v\f\r"


def decode_base64(text: bytes) -> bytes:
    """Decode base64 as Abseil does: white space anywhere, padding whole or absent, dots for equals signs.

    Raises:
        ServingError: INVALID_ARGUMENT.

    Example:
        >>> decode_base64(b"aGVs bG8")
        b'hello'
    """
    match = _BASE64.fullmatch(text.translate(None, _WHITE))
    if match is not None:
        left = len(match[1]) % 4
        if left != 1 and len(match[2]) in (0, -len(match[1]) % 4):
            try:
                return base64.b64decode(match[1] + b"=" * (-len(match[1]) % 4))
            except binascii.Error:  # pragma: no cover: the pattern leaves nothing to refuse
                pass
    raise ServingError("INVALID_ARGUMENT", "Unable to base64 decode")
