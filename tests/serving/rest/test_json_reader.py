import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.json_reader import MISSING, Members, parse_json

# RapidJSON 1.1's own texts and offsets, followed by hand through its reader.
REFUSED = [
    (b"", "The document is empty"),
    (b" \n", "The document is empty. at offset: 2"),
    (b"\0[1]", "The document is empty. at offset: 0"),
    (b"x", "Invalid value. at offset: 0"),
    (b"'a'", "Invalid value. at offset: 0"),
    (b"// no", "Invalid value. at offset: 0"),
    (b"nul", "Invalid value. at offset: 3"),
    (b"trux", "Invalid value. at offset: 3"),
    (b"[falze]", "Invalid value. at offset: 4"),
    (b"[1,]", "Invalid value. at offset: 3"),
    (b"[1 2]", "Missing a comma or ']' after an array element. at offset: 3"),
    (b"[1", "Missing a comma or ']' after an array element. at offset: 2"),
    (b"[", "Invalid value. at offset: 1"),
    (b"[1]]", None),
    (b"{", "Missing a name for object member. at offset: 1"),
    (b"{1:2}", "Missing a name for object member. at offset: 1"),
    (b'{"a":1,}', "Missing a name for object member. at offset: 7"),
    (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
    (b'{"a":}', "Invalid value. at offset: 5"),
    (b'{"a":1 "b":2}', "Missing a comma or '}' after an object member. at offset: 7"),
    (b'{"a":1', "Missing a comma or '}' after an object member. at offset: 6"),
    (b'"a', "Missing a closing quotation mark in string. at offset: 2"),
    (b'"a\0"', "Missing a closing quotation mark in string. at offset: 2"),
    (b'"a\nb"', "Invalid escape character in string. at offset: 2"),
    (b'"a\\x"', "Invalid escape character in string. at offset: 2"),
    (b'"\\u12g4"', "Incorrect hex digit after \\u escape in string. at offset: 1"),
    (b'"\\ud800"', "The surrogate pair in string is invalid. at offset: 1"),
    (b'"\\ud800\\u0041"', "The surrogate pair in string is invalid. at offset: 1"),
    (b"[1.]", "Miss fraction part in number. at offset: 3"),
    (b"[.5]", "Invalid value. at offset: 1"),
    (b"[+1]", "Invalid value. at offset: 1"),
    (b"[-]", "Invalid value. at offset: 2"),
    (b"[01]", "Missing a comma or ']' after an array element. at offset: 2"),
    (b"[1e]", "Miss exponent in number. at offset: 3"),
    (b"[1e+]", "Miss exponent in number. at offset: 4"),
    (b"[1, 1e309]", "Number too big to be stored in double. at offset: 4"),
    (b"[-1e400]", "Number too big to be stored in double. at offset: 1"),
    (b"[" + b"9" * 400 + b"]", "Number too big to be stored in double. at offset: 1"),
    (b"[Nan]", "Invalid value. at offset: 3"),
    (b"[Infinit]", "Invalid value. at offset: 8"),
    (b"\xef\xbb\xbf{,", "Missing a name for object member. at offset: 4"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=lambda value: repr(value)[:30])
def test_refusals(text, message):
    if message is None:
        assert parse_json(text) == [1]
        return
    with pytest.raises(ServingError) as caught:
        parse_json(text)
    assert caught.value.message == f"JSON Parse error: {message}"
    assert caught.value.code == "INVALID_ARGUMENT"


def test_depth_is_bounded():
    assert parse_json(b"[" * 10 + b"]" * 10, max_depth=10) == [[[[[[[[[[]]]]]]]]]]
    for text in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 11 + b"]" * 11):
        with pytest.raises(ServingError, match="Nested too deeply"):
            parse_json(text, max_depth=10)


def test_numbers_keep_their_kind():
    whole = [0, -1, 2**31, -(2**63), 2**63, 2**64 - 1]
    assert parse_json(json.dumps(whole).encode()) == whole
    assert all(type(value) is int for value in parse_json(json.dumps(whole).encode()))
    beyond = parse_json(b"[18446744073709551616, -9223372036854775809, 1.0, 1e2, -0.0]")
    assert beyond == [2.0**64, -(2.0**63), 1.0, 100.0, 0.0]
    assert all(type(value) is float for value in beyond)
    assert math.copysign(1, beyond[-1]) == -1


def test_what_rfc_8259_has_not():
    assert str(parse_json(b"[NaN, -NaN, Inf, -Infinity , Infinity]")) == "[nan, nan, inf, -inf, inf]"
    assert str(parse_json(b'[NaN, "x"]')) == "[nan, b'x']"
    assert parse_json(b'{"a": 1} {"b"') == [(b"a", 1)]
    assert parse_json(b"\xef\xbb\xbf [true, false, null]") == [True, False, None]
    assert parse_json(b'["\xff\x80"]') == [b"\xff\x80"]
    assert parse_json(b'["\\udc00"]') == [b"\xed\xb0\x80"]
    twice = parse_json(b'{"a": 1, "a": 2}')
    assert isinstance(twice, Members)
    assert (twice.find(b"a"), len(twice), twice.find(b"b")) == (1, 2, MISSING)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def as_python(value):
    """Our values as Python's own parser gives them."""
    if isinstance(value, Members):
        return {key.decode(): as_python(inner) for key, inner in value}
    if isinstance(value, list):
        return [as_python(inner) for inner in value]
    return value.decode() if isinstance(value, bytes) else value


@given(VALUES, st.sampled_from([None, 0, 2]), st.booleans())
def test_reads_what_python_writes(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert as_python(parse_json(text.encode("utf-8", "surrogatepass"))) == json.loads(text)


@given(st.binary(max_size=40) | st.text('[]{}",:0123456789.eE+-aNInfityrulse \\', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(text):
    with contextlib.suppress(ServingError):
        parse_json(text)
