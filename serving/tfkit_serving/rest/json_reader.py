"""JSON as RapidJSON 1.1 reads it: what TensorFlow Serving takes, refuses, and says with which offset.

Beyond RFC 8259 it takes `NaN`, `Inf`, `Infinity` and bytes that are not UTF-8, ignores whatever follows the first
value, keeps equal names of an object, and treats a NUL byte as the end of the text. Offsets count bytes.
"""

from __future__ import annotations

import re
from typing import NoReturn, TypeAlias

from tfkit_serving.protocol.errors import ServingError


class Members(list[tuple[bytes, "Value"]]):
    """The members of a JSON object in their order, equal names included."""

    def find(self, name: bytes) -> Value | Missing:
        """The value of the first member of that name, or `MISSING`.

        Example:
            >>> Members([(b"a", 1), (b"a", 2)]).find(b"a")
            1
        """
        for key, value in self:
            if key == name:
                return value
        return MISSING


class Missing:
    """The type of `MISSING`: no such member, as opposed to a member that is null."""


MISSING = Missing()
Value: TypeAlias = "bool | int | float | bytes | list[Value] | Members | None"

_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)")
_DIGITS = re.compile(rb"[0-9]*")
# Items of a list of numbers, with the space around them; whole ones of up to 18 digits need no check of their range.
_WHOLE_ITEM = re.compile(rb"[ \t\r\n]*-?(?:0|[1-9][0-9]{0,17})[ \t\r\n]*")
_REAL_ITEM = re.compile(
    rb"[ \t\r\n]*(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)|-?NaN|-?Inf(?:inity)?)"
    rb"[ \t\r\n]*"
)
_HEX = re.compile(rb"[0-9A-Fa-f]")
_ESCAPES = {
    b'"'[0]: b'"', b"/"[0]: b"/", b"\\"[0]: b"\\", b"b"[0]: b"\b",
    b"f"[0]: b"\f", b"n"[0]: b"\n", b"r"[0]: b"\r", b"t"[0]: b"\t",
}  # fmt: skip
_QUOTE, _BACKSLASH, _OPEN, _OPEN_LIST = b'"\\{['
_NUMBER_STARTS = frozenset(bytes((letter,)) for letter in b"-0123456789IN")
_INFINITE = (float("inf"), float("-inf"))
_MIN_INT64, _MAX_UINT64 = -(2**63), 2**64 - 1


def parse_json(text: bytes, max_depth: int = 100) -> Value:
    r"""Read the first JSON value of a text.

    Args:
        text: the body as it came.
        max_depth: how many lists and objects may lie in each other. The real server recurses until its stack ends.

    Returns:
        The value: strings as bytes, whole numbers as int within 64 bits, other numbers as float.

    Raises:
        ServingError: INVALID_ARGUMENT with the server's text.

    Example:
        >>> parse_json(b'{"a": [1, -2.5, NaN, "\\u00e9"]} and more')
        [(b'a', [1, -2.5, nan, b'\xc3\xa9'])]
    """
    if not text:
        raise ServingError("INVALID_ARGUMENT", "JSON Parse error: The document is empty")
    end = text.find(b"\0")
    return _Reader(text if end < 0 else text[:end], max_depth).read()


class _Reader:
    """One pass over one text; `at` is the offset that errors name."""

    def __init__(self, text: bytes, max_depth: int) -> None:
        self.text = text
        self.at = 3 if text.startswith(b"\xef\xbb\xbf") else 0
        self.depth = max_depth

    def read(self) -> Value:
        self.skip_space()
        if self.at >= len(self.text):
            self.fail("The document is empty.")
        return self.value()

    def fail(self, what: str, offset: int | None = None) -> NoReturn:
        where = self.at if offset is None else offset
        raise ServingError("INVALID_ARGUMENT", f"JSON Parse error: {what} at offset: {where}")

    def skip_space(self) -> None:
        self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]

    def consume(self, expected: bytes) -> bool:
        if self.text[self.at : self.at + 1] != expected:
            return False
        self.at += 1
        return True

    def word(self, expected: bytes) -> None:
        for letter in expected:
            if not self.consume(bytes((letter,))):
                self.fail("Invalid value.")

    def value(self) -> Value:
        first = self.text[self.at] if self.at < len(self.text) else 0
        if first == _QUOTE:
            return self.string()
        if first == _OPEN:
            return self.members()
        if first == _OPEN_LIST:
            return self.items()
        for word, meaning in ((b"null", None), (b"true", True), (b"false", False)):
            if first == word[0]:
                self.word(word)
                return meaning
        return self.number()

    def enter(self) -> None:
        if self.depth <= 0:
            self.fail("Nested too deeply.")
        self.depth -= 1
        self.at += 1
        self.skip_space()

    def members(self) -> Members:
        self.enter()
        members = Members()
        done = self.consume(b"}")
        while not done:
            if self.text[self.at : self.at + 1] != b'"':
                self.fail("Missing a name for object member.")
            name = self.string()
            self.skip_space()
            if not self.consume(b":"):
                self.fail("Missing a colon after a name of object member.")
            self.skip_space()
            members.append((name, self.value()))
            self.skip_space()
            if self.consume(b","):
                self.skip_space()
            elif self.consume(b"}"):
                done = True
            else:
                self.fail("Missing a comma or '}' after an object member.")
        self.depth += 1
        return members

    def items(self) -> list[Value]:
        self.enter()
        numbers = self.numbers()
        if numbers is not None:
            self.depth += 1
            return numbers
        values: list[Value] = []
        done = self.consume(b"]")
        while not done:
            values.append(self.value())
            self.skip_space()
            if self.consume(b","):
                self.skip_space()
            elif self.consume(b"]"):
                done = True
            else:
                self.fail("Missing a comma or ']' after an array element.")
        self.depth += 1
        return values

    def numbers(self) -> list[Value] | None:
        """The rest of a list of nothing but plain numbers, three times as fast; None where it is another list."""
        if self.text[self.at : self.at + 1] not in _NUMBER_STARTS:
            return None
        end = self.text.find(b"]", self.at)
        values: list[Value] = []
        for item in self.text[self.at : end].split(b",") if end > 0 else ():
            if _WHOLE_ITEM.fullmatch(item):
                values.append(int(item))
            elif _REAL_ITEM.fullmatch(item):
                values.append(float(item))
                if values[-1] in _INFINITE and b"I" not in item:
                    return None
            else:
                return None
        if not values:
            return None
        self.at = end + 1
        return values

    def string(self) -> bytes:
        self.at += 1
        parts: list[bytes] = []
        while True:
            plain = _PLAIN.match(self.text, self.at)
            assert plain is not None
            parts.append(plain[0])
            self.at = plain.end()
            if self.at >= len(self.text):
                self.fail("Missing a closing quotation mark in string.")
            stop = self.text[self.at]
            if stop == _QUOTE:
                self.at += 1
                return b"".join(parts)
            if stop != _BACKSLASH:
                self.fail("Invalid escape character in string.")
            parts.append(self.escape())

    def escape(self) -> bytes:
        start = self.at
        self.at += 1
        letter = self.text[self.at] if self.at < len(self.text) else 0
        if letter in _ESCAPES:
            self.at += 1
            return _ESCAPES[letter]
        if not self.consume(b"u"):
            self.fail("Invalid escape character in string.", start)
        code = self.hex4(start)
        if 0xD800 <= code <= 0xDBFF:
            if not (self.consume(b"\\") and self.consume(b"u")):
                self.fail("The surrogate pair in string is invalid.", start)
            low = self.hex4(start)
            if not 0xDC00 <= low <= 0xDFFF:
                self.fail("The surrogate pair in string is invalid.", start)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        # A low surrogate of its own is written in three bytes, as RapidJSON does.
        return chr(code).encode("utf-8", "surrogatepass")

    def hex4(self, start: int) -> int:
        digits = self.text[self.at : self.at + 4]
        if len(digits) < 4 or not all(_HEX.match(digits, place) for place in range(4)):
            self.fail("Incorrect hex digit after \\u escape in string.", start)
        self.at += 4
        return int(digits, 16)

    def number(self) -> int | float:
        start = self.at
        whole = _NUMBER.match(self.text, start)
        if whole is None:
            return self.not_a_number()
        self.at = whole.end()
        fraction = self.consume(b".")
        if fraction:
            self.digits("Miss fraction part in number.")
        exponent = self.consume(b"e") or self.consume(b"E")
        if exponent:
            _ = self.consume(b"+") or self.consume(b"-")
            self.digits("Miss exponent in number.")
        digits = self.text[start : self.at]
        if not fraction and not exponent:
            # More digits than any double has: refused before int() refuses them in its own words.
            number = int(digits) if len(digits) < 400 else 10**400
            if _MIN_INT64 <= number <= _MAX_UINT64:
                return number
        real = float(digits)
        if real in _INFINITE:
            self.fail("Number too big to be stored in double.", start)
        return real

    def digits(self, missing: str) -> None:
        found = _DIGITS.match(self.text, self.at)
        assert found is not None
        if found.end() == self.at:
            self.fail(missing)
        self.at = found.end()

    def not_a_number(self) -> float:
        minus = self.consume(b"-")
        if self.text[self.at : self.at + 1] == b"N":
            self.word(b"NaN")
            return float("nan")
        if self.text[self.at : self.at + 1] != b"I":
            self.fail("Invalid value.")
        self.word(b"Inf")
        if self.text[self.at : self.at + 1] == b"i":
            self.word(b"inity")
        return float("-inf") if minus else float("inf")
