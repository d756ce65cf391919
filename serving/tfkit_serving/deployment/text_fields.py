"""Where the fields of a text proto stand, so that one value can be changed and all else, comments too, stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from google.protobuf import text_encoding

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<mark>[{}<>:;,\[\]])|(?P<word>[^\s{}<>:;,\[\]"'#]+)"""
)
_OPEN, _CLOSE = "{<", "}>"


@dataclass(frozen=True)
class Field:
    """A field.

    Attributes:
        name: Its name.
        start: Where it begins.
        end: Where it ends.
        value: Its value as it is written; "" for a message.
        value_start: Where the value begins.
        fields: The fields of a message.
    """

    name: str
    start: int
    end: int
    value: str
    value_start: int
    fields: tuple[Field, ...] = field(default=())

    def all(self, name: str) -> list[Field]:
        """The fields of a message that have a name."""
        return [each for each in self.fields if each.name == name]

    def text(self, name: str) -> str | None:
        """The string that a field of a message holds; the last counts, as in every proto."""
        found = self.all(name)
        if not found:
            return None
        quoted = [match["text"] for match in _TOKEN.finditer(found[-1].value) if match["text"]]
        return b"".join(text_encoding.CUnescape(each[1:-1]) for each in quoted).decode("utf-8", "replace")


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int


def read_fields(text: str) -> tuple[Field, ...]:
    """The fields of a text proto, as far as models.config has such: names, scalars, messages and lists of them.

    Raises:
        ValueError: It cannot be read; says in which line.

    Example:
        >>> [config] = read_fields('config { name: "a"  # first\\n }')
        >>> config.name, config.text("name")
        ('config', 'a')
    """
    return tuple(_Reader(text).fields(len(text)))


class _Reader:
    def __init__(self, text: str) -> None:
        self._source = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def fields(self, end: int) -> Iterator[Field]:
        """Fields up to a closing brace, which is left, or to the end of the text."""
        while (token := self._peek()) is not None and token.text not in _CLOSE:
            yield from self._field()
            while (mark := self._peek()) is not None and mark.text in (",", ";"):
                self._at += 1

    def _field(self) -> Iterator[Field]:
        name = self._take()
        token = self._take()
        if token.text == ":":
            token = self._take()
        if token.text == "[":
            while (item := self._take()).text != "]":
                if item.text != ",":
                    yield self._value(name, item)
            return
        yield self._value(name, token)

    def _value(self, name: _Token, token: _Token) -> Field:
        if token.text not in _OPEN:
            end = token.end
            while (more := self._peek()) is not None and more.text[0] in "\"'" and token.text[0] in "\"'":
                end = self._take().end  # adjacent strings are one
            return Field(name.text, name.start, end, self._source[token.start : end], token.start)
        inner = tuple(self.fields(token.end))
        close = self._take()
        return Field(name.text, name.start, close.end, "", token.start, inner)

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self) -> _Token:
        token = self._peek()
        if token is None:
            raise ValueError(f"it ends in line {self._source.count(chr(10)) + 1}, where more is expected")
        self._at += 1
        return token


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"line {line}: {text[at : at + 20]!r} cannot be read")
        at = match.end()
        if match.lastgroup != "space":
            yield _Token(match.group(), match.start(), match.end())
