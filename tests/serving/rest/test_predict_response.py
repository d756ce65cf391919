import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.json_writer import decimal
from tfkit_serving.rest.predict_response import float_texts, write_predictions


def written(row=True, **outputs):
    return write_predictions({name: np.asarray(array) for name, array in outputs.items()}, row=row).decode()


SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
DTYPES = st.sampled_from(["float32", "float64", "int8", "uint8", "int16", "int32", "int64", "uint32", "uint64", "bool"])


@given(DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)), st.booleans())
def test_what_is_written_reads_back(array, row):
    read = json.loads(written(row, y=array))["predictions" if row else "outputs"]
    if array.size:
        np.testing.assert_array_equal(np.array(read, array.dtype), array)
    elif len(array):
        assert np.array(read).shape == array.shape[: np.array(read).ndim]
    else:
        assert read == []


@given(arrays.arrays("float32", st.integers(0, 40)))
def test_a_row_of_floats_is_written_as_one_float_is(array):
    assert float_texts(array, "%.9g") == [decimal(value) for value in array.tolist()]


@given(arrays.arrays("float64", st.integers(0, 40)))
def test_a_row_of_doubles_is_written_as_one_double_is(array):
    assert float_texts(array, "%.17g") == [decimal(value, double=True) for value in array.tolist()]


def test_rows_of_one_output():
    assert written(y=np.float32([2.5, 3, 4.5])) == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'
    assert written(y=[[[1], [2]], [[3], [4]]]) == '{\n    "predictions": [[[1], [2]], [[3], [4]]\n    ]\n}'
    assert written(y=np.zeros((2, 0))) == '{\n    "predictions": [[], []\n    ]\n}'
    assert written(y=np.zeros(0)) == '{\n    "predictions": []\n}'


def test_rows_of_several_outputs():
    assert written(b=[True, False], a=[[1, 2], [3, 4]]) == (
        '{\n    "predictions": [\n        {\n            "a": [1, 2],\n            "b": true\n        },\n'
        '        {\n            "a": [3, 4],\n            "b": false\n        }\n    ]\n}'
    )


def test_columns():
    assert written(row=False, y=5) == '{\n    "outputs": 5\n}'
    assert written(row=False, y=[[1], [2]]) == (
        '{\n    "outputs": [\n        [\n            1\n        ],\n        [\n            2\n        ]\n    ]\n}'
    )
    assert written(row=False, b=1, a=np.zeros((1, 0))) == (
        '{\n    "outputs": {\n        "a": [\n            []\n        ],\n        "b": 1\n    }\n}'
    )


def test_strings_and_bytes():
    texts = np.array([b'a"\n', "é".encode(), b"\xff\0"], object)
    assert write_predictions({"y": texts}, row=True) == (
        b'{\n    "predictions": ["a\\"\\n", "\xc3\xa9", "\xff\\u0000"\n    ]\n}'
    )
    for row in (True, False):
        read = json.loads(written(row, y_bytes=texts[:, None]))["predictions" if row else "outputs"]
        assert [base64.b64decode(item["b64"]) for (item,) in read] == texts.tolist()


def test_bytes_lie_on_lines_of_their_own():
    assert written(y_bytes=np.array([b"hi"], object)) == (
        '{\n    "predictions": [{\n            "b64": "aGk="\n        }\n    ]\n}'
    )
    assert written(row=False, y_bytes=np.array([b"hi"], object)) == (
        '{\n    "outputs": [\n        {\n            "b64": "aGk="\n        }\n    ]\n}'
    )


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": np.float32(1)}, "Tensor name: y has no shape information "),
        ({"a": np.zeros(1), "b": np.zeros(7)}, "Tensor name: b has inconsistent batch size: 7 expecting: 1"),
        ({"y": np.zeros(1, "float16")}, "Failed to write JSON value for tensor type: half"),
        ({"y": np.zeros(1, "uint16")}, "Failed to write JSON value for tensor type: uint16"),
        ({"y": np.zeros(1, "complex64")}, "Failed to write JSON value for tensor type: complex64"),
    ],
)
def test_what_rows_cannot_hold(outputs, said):
    with pytest.raises(ServingError) as caught:
        write_predictions(outputs, row=True)
    assert (caught.value.code, caught.value.message) == ("INVALID_ARGUMENT", said)
