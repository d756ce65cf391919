"""LiteRT, ONNX and OpenVINO: each computes what the model computes, under its names."""

import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit.formats.named_model import NamedModel

RUNTIMES = {"litert": "tensorflow", "onnx": "tf2onnx", "openvino": "openvino"}


@pytest.fixture(params=RUNTIMES)
def name(request):
    pytest.importorskip(RUNTIMES[request.param])
    return request.param


def pair():
    """Two inputs of different dtypes, two outputs, both in an order that is not that of their names."""
    b, a = keras.Input((3,), name="b"), keras.Input((2,), name="a", dtype="int32")
    joined = layers.Concatenate()([layers.BatchNormalization()(b), layers.Flatten()(layers.Embedding(5, 3)(a))])
    return keras.Model({"b": b, "a": a}, {"z": layers.Dense(2)(joined), "y": layers.Dense(1)(joined)})


ROWS = {
    "bee": np.random.default_rng(1).random((3, 3), "float32"),
    "a": np.array([[0, 1], [2, 3], [4, 4]], "int32"),
}


def test_several_inputs_and_outputs_by_the_names_given(name, tmp_path):
    model = pair()
    exporter = tfkit.create("exporter", name)
    exporter.write(NamedModel(model, inputs={"b": "bee"}, outputs={"z": "zed"}), tmp_path, None)
    wanted = model({"b": ROWS["bee"], "a": ROWS["a"]})
    for rows in (1, 3):
        found = exporter.predict(tmp_path, {key: values[:rows] for key, values in ROWS.items()})
        assert found.keys() == {"zed", "y"}
        np.testing.assert_allclose(found["zed"], wanted["z"][:rows], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["y"], wanted["y"][:rows], rtol=1e-5, atol=1e-6)


def test_text_is_refused_with_the_way_out(name, tmp_path):
    vectorizer = layers.TextVectorization(output_mode="tf_idf")
    vectorizer.adapt(["good film", "bad film"])
    model = keras.Sequential([keras.Input((1,), dtype="string", name="text"), vectorizer, layers.Dense(1)])
    rows = {"text": np.array([["good"]], object)}
    with pytest.raises(tfkit.ConversionError, match="leave the layers that read text outside"):
        tfkit.create("exporter", name).write(NamedModel(model), tmp_path, rows)


def test_integers_are_calibrated_on_the_sample(tmp_path):
    model = keras.Sequential([keras.Input((16,), name="x"), layers.Dense(64, "relu"), layers.Dense(4)])
    rows = {"x": np.random.default_rng(0).normal(size=(64, 16)).astype("float32")}
    named, sizes = NamedModel(model), {}
    for bits, activations in ((None, None), (8, 8), (16, None)):
        exporter = tfkit.create("exporter", "litert", bits=bits, activations=activations)
        folder = tmp_path / str(bits)
        folder.mkdir()
        exporter.write(named, folder, rows)
        assert exporter.is_exact == (bits is None)
        found, wanted = exporter.predict(folder, rows)["outputs"], model(rows["x"]).numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-6 if bits is None else 0.05 * np.abs(wanted).max())
        sizes[bits] = (folder / "model.tflite").stat().st_size
    assert sizes[8] < sizes[16] < sizes[None]


def test_integers_without_a_sample_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((16,), name="x"), layers.Dense(4)])
    with pytest.raises(tfkit.DataError, match="takes the ranges of activations from real rows"):
        tfkit.create("exporter", "litert", bits=8, activations=8).write(NamedModel(model), tmp_path, None)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_without_its_package_the_error_names_it(format):
    try:
        __import__(RUNTIMES[format])
    except ModuleNotFoundError:
        with pytest.raises(tfkit.PluginNotFound, match=f"exporter '{format}' needs {format}: pip install"):
            tfkit.create("exporter", format)
    else:
        assert tfkit.create("exporter", format).is_exact if format == "openvino" else True


def test_the_operators_of_an_older_version(tmp_path):
    onnx = pytest.importorskip("onnx")
    model = keras.Sequential([keras.Input((4,), name="x"), layers.Dense(2)])
    tfkit.create("exporter", "onnx", opset=13).write(NamedModel(model), tmp_path, None)
    opsets = {each.domain: each.version for each in onnx.load(str(tmp_path / "model.onnx")).opset_import}
    assert opsets[""] == 13
