import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfkit_serving.rest.json_reader import Members, parse_json
from tfkit_serving.rest.json_writer import decimal, pretty, quote, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (2.05, "2.05"),
        (1e-7, "1e-07"),
        (16777216.0, "16777216.0"),
        (1e20, "1e+20"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_floats_have_the_forms_of_absl(value, text):
    assert decimal(float(np.float32(value))) == text


@given(st.floats(width=32))
def test_a_float_reads_back(value):
    read = float(decimal(value).replace("Infinity", "inf"))
    assert struct.pack("f", read) == struct.pack("f", value) or value != value


@given(st.floats())
def test_a_double_reads_back(value):
    read = float(decimal(value, double=True))
    assert read == value or value != value
    assert any(mark in decimal(value, double=True) for mark in ".eNI")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RapidJSON's Prettify, by its own comments and tests.
        (0.1, "0.1"), (1234567.0, "1234567.0"), (1e20, "100000000000000000000.0"), (1e21, "1e21"),
        (1.234e33, "1.234e33"), (0.00001234, "0.00001234"), (1e-6, "0.000001"), (1.5e-7, "1.5e-7"), (5e-324, "5e-324"),
        (-0.0, "-0.0"), (1.7976931348623157e308, "1.7976931348623157e308"), (12.34, "12.34"),
    ],
)  # fmt: skip
def test_numbers_in_lists_have_the_forms_of_rapidjson(value, text):
    assert pretty([value]).decode() == f"[{text}]"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_lists_read_back(value):
    assert json.loads(pretty([value])) == [value]


def test_objects_take_lines_and_lists_do_not():
    document = parse_json(b'{"a":[1,{"b":[]}],"c":{},"d":[{"e":null}]}')
    assert pretty(document).decode() == (
        '{\n    "a": [1, {\n            "b": []\n        }],\n    "c": {},\n    "d": [{\n            "e": null\n'
        "        }]\n}"
    )


def test_writing_stops_at_what_json_has_no_form_for():
    assert pretty(parse_json(b'{"a": 1, "b": NaN, "c": 2}')) == b'{\n    "a": 1,\n    "b": '
    assert value_text(math.inf) == "Infinity"
    assert value_text(1e300) == "1e+300"
    assert value_text(16777217.0) == "16777216.0"  # within a float's bounds it is shown as one


@given(st.binary())
def test_quoted_bytes_come_back(text):
    assert parse_json(b"[" + quote(text) + b"]") == [text]


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_quoted_text_is_json(text):
    assert json.loads(quote(text.encode())) == text


def test_members_of_one_name_stay():
    assert pretty(Members([(b"a", 1), (b"a", 2)])) == b'{\n    "a": 1,\n    "a": 2\n}'
