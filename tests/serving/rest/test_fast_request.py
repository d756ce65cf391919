"""The fast way and the exact way are two readers of one language: hypothesis looks for a body that tells them apart."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from small_core import DTYPES, signature

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.fast_request import read_plain_request
from tfkit_serving.rest.predict_request import read_predict_request

CARRIED = sorted(set(DTYPES) - {"half", "uint16"})


def same(body, **inputs):
    """Whether the fast way took a body; if it did, the exact way must have given the same."""
    found = signature({name: DTYPES[dtype] for name, dtype in inputs.items()})
    fast = read_plain_request(body, lambda name: found)
    if fast is None:
        return False
    exact = read_predict_request(body, lambda name: found)
    assert (fast.signature, fast.row, fast.inputs.keys()) == (exact.signature, exact.row, exact.inputs.keys())
    for name, array in exact.inputs.items():
        assert fast.inputs[name].dtype == array.dtype
        assert fast.inputs[name].shape == array.shape
        np.testing.assert_array_equal(fast.inputs[name], array)
    return True


LEAVES = (
    st.integers(-3, 300)
    | st.integers(-(2**64), 2**65)
    | st.floats()
    | st.sampled_from(
        [True, False, None, 2**24, 2**24 - 1, 2**53, 1e39, -0.0, "a", 'é\n"\\', {"b64": "aGk="}, {"b64": 1}]
    )
    | st.text(max_size=4)
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
ROWS = VALUES | st.dictionaries(st.sampled_from(["x", "y", "b64"]), VALUES, max_size=2)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "instances": st.lists(ROWS, max_size=4) | ROWS,
        "inputs": ROWS,
        "signature_name": st.sampled_from(["", "other", 5, None]),
        "extra": VALUES,
    },
)

unhurried = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(BODIES, st.sampled_from(CARRIED), st.booleans())
@example({"instances": [[True, 1]]}, "int32", False)
@example({"instances": [None]}, "float", False)
@example({"instances": [["1.5"]]}, "float", False)
def test_agree_on_one_input(body, dtype, ascii_only):
    same(json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), x=dtype)


@unhurried
@given(BODIES, st.sampled_from(CARRIED), st.sampled_from(CARRIED))
def test_agree_on_two_inputs(body, first, second):
    same(json.dumps(body).encode("utf-8", "surrogatepass"), x=first, y=second)


@unhurried
@given(st.lists(st.sampled_from(['"instances":', '"x":', '"b64":', "[1]", "[", "]", "{", "}", ",", "1", "2.5", '"a"',
                                 "true", "null", '"\\u0078":', '"x\\u0000":', " "]), max_size=14))  # fmt: skip
def test_agree_on_pieces(pieces):
    for dtype in ("float", "int64", "string", "bool"):
        body = ("{" + "".join(pieces) + "}").encode()
        try:
            same(body, x=dtype)
        except ServingError as error:
            raise AssertionError(f"the fast way took {body!r}, the exact one: {error}") from None


@pytest.mark.parametrize("dtype", CARRIED)
def test_takes_plain_bodies(dtype):
    value = {"string": "é", "bool": True}.get(dtype, 7)
    for body in ({"instances": [[value], [value]]}, {"instances": [{"x": value}]}, {"inputs": {"x": [value]}},
                 {"signature_name": "a", "inputs": [[[value]]]}, {"inputs": value}):  # fmt: skip
        assert same(json.dumps(body).encode(), x=dtype)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [1], "instances": [2]}',
        b'{"instances": [{"x": 1, "x": 2}]}',
        b'{"instances": [1]} trailing',
        b'{"instances": [NaN]}',
        b'{"instances": [1], "inputs": [1]}',
        b'{"instances": [true]}',
        b'{"instances": [1e39]}',
        b'{"instances": [16777216]}',
        b"\xef\xbb\xbf" + b'{"instances": [1]}',
    ],
)
def test_leaves_the_rest_to_the_exact_way(body):
    assert not same(body, x="float")


def test_large_floats_stay_fast():
    assert same(b'{"instances": [16777216.0, -1e30, 3.4028234663852886e38]}', x="float")
    assert same(b'{"instances": [1e308]}', x="double")
