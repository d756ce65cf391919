"""JSON as TensorFlow Serving writes it: RapidJSON's pretty writer with four spaces, and its forms of numbers.

Example:
    >>> print(pretty(Members([(b"a", [1, 2.5]), (b"b", Members())])).decode())
    {
        "a": [1, 2.5],
        "b": {}
    }
"""

from __future__ import annotations

import contextlib
import math
import re
import struct

from tfkit_serving.rest.json_reader import Members, Value

_ESCAPED = re.compile(rb'["\\\x00-\x1f]')
_SHORT = {b'"': b'\\"', b"\\": b"\\\\", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
_LARGEST_FLOAT = 3.4028234e38


def quote(text: bytes) -> bytes:
    r"""A JSON string: quotes, backslashes and control characters escaped, all other bytes as they are.

    Example:
        >>> quote(b'a"\n\x01\xff')
        b'"a\\"\\n\\u0001\xff"'
    """
    return b'"' + _ESCAPED.sub(_escape, text) + b'"'


def _escape(match: re.Match[bytes]) -> bytes:
    return _SHORT.get(match[0]) or b"\\u%04X" % match[0][0]


def decimal(value: float, *, double: bool = False) -> str:
    """A tensor's number: six digits where they are enough to read it back, else nine (seventeen for a double).

    Args:
        value: a float32 held in a float, or a double.
        double: whether the tensor is of doubles.

    Example:
        >>> decimal(2.0), decimal(0.5123456716537476), decimal(61728400.0), decimal(1 / 3, double=True)
        ('2.0', '0.512345672', '6.17284e+07', '0.33333333333333331')
    """
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:g}"
    read = float(text)
    if not double and abs(read) <= _LARGEST_FLOAT:
        read = struct.unpack("f", struct.pack("f", read))[0]
    if read != value:
        text = f"{value:.17g}" if double else f"{value:.9g}"
    return text if "." in text or "e" in text else text + ".0"


def value_text(value: Value) -> str:
    """A value of a request as error messages show it.

    Example:
        >>> value_text(1.0), value_text([1.0, True, None]), value_text(b"x")
        ('1.0', '[1.0, true, null]', '"x"')
    """
    if not isinstance(value, float):
        text = pretty(value)
    elif abs(value) <= _LARGEST_FLOAT:
        text = decimal(struct.unpack("f", struct.pack("f", value))[0]).encode()
    else:
        text = decimal(value, double=True).encode()
    return text.decode("utf-8", "surrogateescape")


def pretty(value: Value) -> bytes:
    """A parsed value written out, lists on one line; it ends where NaN or an infinity would follow.

    RapidJSON's writer stops at a number that JSON has no form for, and the server shows what was written by then.
    """
    parts: list[bytes] = []
    with contextlib.suppress(_NoForm):
        _write(value, 0, parts)
    return b"".join(parts)


class _NoForm(Exception):
    """A number without a JSON form ends the text."""


def _write(value: Value, level: int, parts: list[bytes]) -> None:
    if isinstance(value, Members):
        _write_members(value, level, parts)
    elif isinstance(value, list):
        items: list[Value] = value  # type: ignore[assignment]
        parts.append(b"[")
        for place, item in enumerate(items):
            if place:
                parts.append(b", ")
            _write(item, level + 1, parts)
        parts.append(b"]")
    elif isinstance(value, bytes):
        parts.append(quote(value))
    elif isinstance(value, float):
        parts.append(_double(value))
    elif value is None:
        parts.append(b"null")
    else:
        parts.append(str(value).lower().encode())


def _write_members(members: Members, level: int, parts: list[bytes]) -> None:
    if not members:
        parts.append(b"{}")
        return
    indent = b"\n" + b"    " * (level + 1)
    separator = b"{" + indent
    for name, value in members:
        parts += (separator, quote(name), b": ")
        _write(value, level + 1, parts)
        separator = b"," + indent
    parts.append(b"\n" + b"    " * level + b"}")


def _double(value: float) -> bytes:
    """The shortest digits that read back, laid out as RapidJSON does: no exponent from 1e-6 up to 1e21."""
    if not math.isfinite(value):
        raise _NoForm
    if value == 0:
        return b"-0.0" if math.copysign(1, value) < 0 else b"0.0"
    sign = "-" if value < 0 else ""
    mantissa, exponent = _digits(abs(value))
    count = len(mantissa)
    point = exponent + count  # where the decimal point stands, counted from the first digit
    if exponent >= 0 and point <= 21:
        text = mantissa + "0" * exponent + ".0"
    elif 0 < point <= 21:
        text = mantissa[:point] + "." + mantissa[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + mantissa
    else:
        text = mantissa[0] + ("." + mantissa[1:] if count > 1 else "") + f"e{point - 1}"
    return (sign + text).encode()


def _digits(value: float) -> tuple[str, int]:
    """The shortest digits of a positive double without zeros at the ends, and the exponent of the last one."""
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent or 0) - len(fraction)
    digits = (whole + fraction).lstrip("0")
    stripped = digits.rstrip("0")
    return stripped, power + len(digits) - len(stripped)
