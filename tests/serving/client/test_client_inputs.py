import ml_dtypes
import numpy as np
import pytest

from tfkit_serving import ServingError
from tfkit_serving.client.inputs import fit_inputs
from tfkit_serving.protocol.messages import SignatureDef
from tfkit_serving.servables.signature import Signature, TensorInfo

FLOAT, INT32, UINT8, STRING, COMPLEX, INT64, BOOL, BFLOAT16, HALF, UINT64 = 1, 3, 4, 7, 8, 9, 10, 14, 19, 23


def fitted(value, dtype):
    signature = Signature({"x": TensorInfo("x:0", dtype, None)}, {}, "", SignatureDef())
    return fit_inputs(value, signature, "model 'm'")["x"]


@pytest.mark.parametrize(
    ("value", "dtype", "numpy"),
    [
        ([0.1, 2], FLOAT, "float32"),
        ([1, 2], FLOAT, "float32"),
        ([True], FLOAT, "float32"),
        ([1, 255], UINT8, "uint8"),
        ([2**64 - 1], UINT64, "uint64"),
        (np.float32([1, np.nan, np.inf]), HALF, "float16"),
        ([0.5], BFLOAT16, "bfloat16"),
        (np.array([0.5], ml_dtypes.bfloat16), FLOAT, "float32"),
        ([1.5], COMPLEX, "complex64"),
        (7, INT64, "int64"),
    ],
)
def test_values_are_cast_where_none_changes(value, dtype, numpy):
    found = fitted(value, dtype)
    assert found.dtype.name == numpy
    np.testing.assert_array_equal(found.astype(complex), np.asarray(value).astype(numpy).astype(complex))


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        ([1.0], INT32, "takes int32 of any shape; got float64, which does not become that without loss"),
        ([256], UINT8, "256 does not go into it"),
        ([-1], UINT64, "-1 does not go into it"),
        ([1, 2**31], INT32, "2147483648 does not go into it"),
        ([2**24 + 1], FLOAT, "16777217 does not go into it"),
        ([1e39], FLOAT, r"1e\+39 does not go into it"),
        ([1j], FLOAT, "got complex128"),
        ([2], BOOL, "got int64"),
        (["1"], INT32, "got string"),
        ([1], STRING, "got int64"),
        ([1, "a"], STRING, "holds a int where"),
        ([[1], [2, 3]], INT32, "is no array"),
        ([None], FLOAT, "holds a NoneType"),
    ],
)
def test_values_that_would_change_are_refused(value, dtype, words):
    with pytest.raises(ServingError, match=words) as caught:
        fitted(value, dtype)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "input 'x' of model 'm'" in caught.value.message


def test_strings_keep_every_byte():
    assert fitted([b"a\0", "é", ""], STRING).tolist() == [b"a\0", "é".encode(), b""]
    assert fitted(np.array(["ab", "c"]), STRING).tolist() == [b"ab", b"c"]
    assert fitted("x", STRING).shape == ()


def test_names_are_those_of_the_signature():
    infos = {name: TensorInfo(name, FLOAT, None) for name in ("height", "width")}
    proto = SignatureDef()
    signature = Signature(infos, {}, "", proto)
    for value, words in [
        ([1.0], "takes 2 inputs: give them by name, {'height', 'width'}"),
        ({"hight": 1.0}, "has no input 'hight'; did you mean 'height'? It takes 'height', 'width'"),
        ({"q": 1.0}, "has no input 'q'; it takes 'height', 'width'"),
        ({"width": 1.0}, "also takes 'height'; got 'width'"),
    ]:
        with pytest.raises(ServingError) as caught:
            fit_inputs(value, signature, "m")
        assert words in caught.value.message
    proto.defaults["height"].float_val.append(2.0)
    assert list(fit_inputs({"width": 1.0}, signature, "m")) == ["width"]
