import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfkit_serving.servables import framing

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
NUMERIC = npst.boolean_dtypes() | npst.integer_dtypes() | npst.floating_dtypes() | npst.complex_number_dtypes()
NUMBERS = SHAPES.flatmap(lambda shape: npst.arrays(NUMERIC, shape))
STRINGS = SHAPES.flatmap(lambda shape: npst.arrays(object, shape, elements=st.binary(max_size=9), fill=st.nothing()))


def through(message, arrays):
    data = b"".join(framing.encode(message, arrays))
    length, header = framing.PREFIX.unpack_from(data)
    assert len(data) == length + 8
    return framing.decode(bytearray(data[framing.PREFIX.size :]), header)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), STRINGS | NUMBERS.filter(lambda a: a.dtype.kind not in "OUSmM"), max_size=4)
)
def test_arrays_arrive_as_they_were_sent(arrays):
    message, found = through({"id": 7, "name": "é"}, arrays)
    assert message == {"id": 7, "name": "é"}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes() if array.dtype != object else (found[name] == array).all()


def test_what_numpy_knows_by_name_alone():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("bfloat16", "float8_e4m3fn", "int4"):
        array = np.array([[1, 2, 3]], getattr(ml_dtypes, name))
        _, found = through({}, {"x": array})
        assert found["x"].dtype == array.dtype
        assert (found["x"] == array).all()


def test_views_travel_as_what_they_show():
    base = np.arange(24.0).reshape(4, 6)
    _, found = through({}, {"t": base.T, "s": base[::2, ::3]})
    np.testing.assert_array_equal(found["t"], base.T)
    np.testing.assert_array_equal(found["s"], base[::2, ::3])
