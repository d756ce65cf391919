"""Tensors without TensorFlow: round trips of anything, and refusals of what is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from tfkit_serving.protocol.errors import ServingError, code_name
from tfkit_serving.protocol.messages import TensorProto
from tfkit_serving.protocol.tensors import to_array, to_content_proto, to_proto

NUMBERS = numpy_strategies.arrays(
    st.sampled_from(
        ["f2", "f4", ">f4", "f8", "i1", "i2", "i4", "i8", ">i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"]
    ).map(np.dtype),
    numpy_strategies.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6),
)
TEXTS = numpy_strategies.arrays(object, numpy_strategies.array_shapes(min_side=0), elements=st.binary(max_size=5))


@given(NUMBERS | TEXTS)
def test_round_trip(array):
    proto = TensorProto.FromString(to_proto(array).SerializeToString())
    assert not proto.tensor_content
    back = to_array(proto)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.shape == array.shape
    assert back.tobytes() == array.astype(back.dtype).tobytes() or back.tolist() == array.tolist()


@given(NUMBERS)
def test_content_is_read(array):
    array = array.astype(array.dtype.newbyteorder("="))
    proto = to_proto(np.empty(0, array.dtype))
    proto.tensor_shape.CopyFrom(to_proto(array).tensor_shape)
    proto.tensor_content = array.tobytes()
    back = to_array(proto)
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(NUMBERS)
def test_content_is_written(array):
    proto = TensorProto.FromString(to_content_proto(array).SerializeToString())
    assert proto.tensor_content == array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert {field.name for field, _ in proto.ListFields()} <= {"dtype", "tensor_shape", "tensor_content"}
    assert to_array(proto).shape == array.shape


def test_texts_stay_texts_where_numbers_are_content():
    assert to_content_proto([b"a", b"b"]).string_val == [b"a", b"b"]


@pytest.mark.parametrize("write", [to_proto, to_content_proto])
def test_a_single_value_has_a_shape_without_dimensions(write):
    assert write(np.float32(1)).HasField("tensor_shape")
    assert not write(np.float32(1)).tensor_shape.dim


def test_rows_with_a_stride():
    array = np.arange(400, dtype=np.float32).reshape(20, 20).T[::2]
    assert to_array(to_proto(array)).tolist() == array.tolist()


def test_text_becomes_bytes():
    assert to_array(to_proto(["é", b"b"])).tolist() == ["é".encode(), b"b"]
    with pytest.raises(TypeError, match="holds strings alone; got int"):
        to_proto(np.array([1, "a"], object))
    with pytest.raises(TypeError, match="no dtype for numpy's datetime64"):
        to_proto(np.array(["2020-01-01"], "datetime64[D]"))


def dims(*sizes):
    return {"dim": [{"size": each} for each in sizes]}


@pytest.mark.parametrize(
    ("proto", "said"),
    [
        (TensorProto(), "numpy has no dtype for DT_INVALID"),
        (TensorProto(dtype=20), "numpy has no dtype for DT_RESOURCE"),
        (TensorProto(dtype=101), "numpy has no dtype for DT_FLOAT_REF"),
        (TensorProto(dtype=12345), "numpy has no dtype for 12345"),
        (TensorProto(dtype=-1), "numpy has no dtype for -1"),
        (TensorProto(dtype=1, tensor_shape={"unknown_rank": True}), "shape is not known"),
        (TensorProto(dtype=1, tensor_shape=dims(-1)), "shape is not known"),
        (TensorProto(dtype=1, tensor_shape=dims(-(2**63), 2)), "shape is not known"),
        (TensorProto(dtype=1, tensor_shape=dims(2), tensor_content=b"1234567"), "tensor_content of 7 bytes"),
        (TensorProto(dtype=1, tensor_shape=dims(2**62, 2**62, 4), tensor_content=b"1234"), "tensor_content of 4 bytes"),
        (TensorProto(dtype=7, tensor_shape=dims(1), tensor_content=b"a"), "strings go into string_val"),
        (TensorProto(dtype=1, tensor_shape=dims(2**40), float_val=[0]), "1 values for shape"),
        (TensorProto(dtype=1, tensor_shape=dims(2**62, 2**62)), "0 values for shape"),
        (TensorProto(dtype=7, tensor_shape=dims(2**62, 2**62), string_val=[b""]), "1 values for shape"),
        (TensorProto(dtype=1, tensor_shape=dims(0, 2**62, 2**62)), "shape"),
        (TensorProto(dtype=1, tensor_shape=dims(*[1] * 100), float_val=[1]), "shape"),
        (TensorProto(dtype=1, tensor_shape=dims(*[2**62] * 255)), "255 dimensions; TensorFlow has 254 at most"),
    ],
)
def test_refusals(proto, said):
    with pytest.raises(ServingError, match=said) as caught:
        to_array(proto)
    assert caught.value.code == "INVALID_ARGUMENT"


@given(st.binary(max_size=60))
def test_any_bytes_are_an_array_or_refused(wire):
    from google.protobuf.message import DecodeError

    try:
        array = to_array(TensorProto.FromString(wire))
    except (DecodeError, ServingError):
        return
    assert array.nbytes <= 1 << 26


def test_numbers_outside_of_their_dtype_wrap():
    assert to_array(TensorProto(dtype=6, tensor_shape=dims(2), int_val=[300, -129])).tolist() == [44, 127]
    assert to_array(TensorProto(dtype=19, tensor_shape=dims(1), half_val=[-(2**31) + 0x3C00])).tolist() == [1.0]
    assert to_array(TensorProto(dtype=8, tensor_shape=dims(1), scomplex_val=[1, 2, 3])).tolist() == [1 + 2j]


@pytest.mark.parametrize(("code", "number", "status"), [("NOT_FOUND", 5, 404), ("OK", 0, 200), ("QUITE_NEW", 2, 500)])
def test_codes(code, number, status):
    error = ServingError(code, "text")
    assert (error.number, error.http_status, code_name(error.number)) == (number, status, error.code)
    assert code_name(77) == "UNKNOWN"
