import gzip
import io
import zipfile

import h5py
import keras
import numpy as np
import pytest

import tfkit
from tfkit.latency import nearest_rank
from tfkit.sizes import gzipped, keras_bytes


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    made.layers[1].kernel.assign([[0.0, 1.0]] * 4)
    made.compile("adam", "mse")
    made.fit(np.zeros((8, 6)), np.zeros((8, 2)), verbose=0)
    return made


def test_parameters_and_nonzero_are_counted(model):
    weights = [np.asarray(each) for each in model.weights]
    found = tfkit.measure(model, np.zeros((1, 6), "float32"), repeats=5)
    assert found.parameters == 6 * 4 + 4 + 4 * 2 + 2
    assert found.nonzero == sum(int((each != 0).sum()) for each in weights)
    assert 0 < found.latency_p50_ms <= found.latency_p99_ms


def test_a_keras_file_is_sized_without_the_optimizer(model, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    content = keras_bytes(path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as h5:
        assert "optimizer" not in h5
        assert "layers" in h5
    found = tfkit.measure(path, np.zeros((1, 6), "float32"), repeats=2)
    assert found.bytes == len(content) < path.stat().st_size


def test_a_file_without_the_optimizer_still_loads(model, tmp_path):
    path = tmp_path / "small.keras"
    path.write_bytes(keras_bytes(model))
    loaded = keras.models.load_model(path, compile=False)
    x = np.random.default_rng(0).random((3, 6)).astype("float32")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_gzip_is_gzips_own():
    content = b"tfkit" * 1000
    assert gzipped(content) == len(gzip.compress(content, 9, mtime=0))


def test_nearest_rank_percentile():
    values = [float(each) for each in range(1, 101)]
    assert (nearest_rank(values, 0.5), nearest_rank(values, 0.99), nearest_rank([3.0], 0.99)) == (50.0, 99.0, 3.0)


@pytest.mark.parametrize("name", ["batch", "repeats"])
def test_a_count_below_one_is_refused(model, name):
    with pytest.raises(tfkit.ParameterError, match=name):
        tfkit.measure(model, np.zeros((1, 6)), **{name: 0})


def test_a_sample_without_rows_is_refused(model):
    with pytest.raises(tfkit.DataError, match="no rows"):
        tfkit.measure(model, np.zeros((0, 6)))


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(tfkit.ModelError, match="not built"):
        tfkit.measure(keras.Sequential([keras.layers.Dense(1)]), np.zeros((1, 2)))


def test_a_sample_of_the_wrong_shape_is_refused_in_a_line(model):
    with pytest.raises(tfkit.ModelError, match="cannot be called on the sample"):
        tfkit.measure(model, np.zeros((1, 7), "float32"), repeats=1)
