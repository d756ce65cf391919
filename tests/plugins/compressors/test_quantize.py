import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits

import tfkit
from tfkit.formats.litert import LiteRT
from tfkit_compressors.quantization.quantize import Quantize

X = (load_digits().data / 16).astype("float32")
Y = load_digits().target
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), layers.Dense(32, activation="relu"), layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(X[:1200], Y[:1200], epochs=10, verbose=0)
    return model


@pytest.mark.parametrize(
    ("params", "label"),
    [
        ({}, "int8"),
        ({"bits": 8, "activations": 16}, "int16x8"),
        ({"activations": None}, "dynamic-int8"),
        ({"bits": 16, "activations": None, "calibration": 1}, "float16"),
        ({"bits": 4, "activations": None}, "int4"),
        ({"bits": 4}, "int8x4"),
        ({"bits": 4, "activations": 16, "exclude": ("Dense",)}, "int16x4"),
    ],
)
def test_create_gives_a_compressor(params, label):
    made = tfkit.create("compressor", "quantize", **params)
    assert isinstance(made, tfkit.Compressor)
    assert made.label == label


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"bits": 3}, r"bits=3, activations=8; of \(bits, activations\) \(8, 8\) is int8"),
        ({"bits": 16}, "bits=16, activations=8"),
        ({"exclude": ("out",)}, r"'exclude' .* must be empty where bits is not 4, .*; got \('out',\) with bits=8"),
        ({"bits": "8"}, "'bits' of compressor 'quantize' must be an int; got '8'"),
        ({"calibration": 0}, "'calibration' of compressor 'quantize' must be an int >= 1; got 0"),
        ({"timeout": 0}, "'timeout' of compressor 'quantize' must be a float > 0; got 0"),
    ],
)
def test_create_refuses(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        tfkit.create("compressor", "quantize", **params)


def test_it_is_no_callback():
    with pytest.raises(tfkit.TfkitError, match="works on a trained model, not inside fit"):
        tfkit.callback("compressor", "quantize")


@pytest.mark.slow
def test_int8_of_sorted_data_keeps_accuracy_and_the_model_stays(model, tmp_path):
    order = np.argsort(Y[:1200], kind="stable")
    data = tfkit.Data((X[order], Y[order]), (X[1200:1500], Y[1200:1500]))
    before = model.get_weights()
    made = tfkit.create("compressor", "quantize").compress(model, data, epochs=3, directory=tmp_path)
    assert made.model is None
    assert list(made.artifacts) == ["litert"]
    assert list(tmp_path.iterdir()) == [made.artifacts["litert"]]
    file = LiteRT(made.artifacts["litert"])
    expected, outputs = model.predict(X[1200:], verbose=0), file(X[1200:])
    assert abs(np.mean(outputs.argmax(-1) == Y[1200:]) - np.mean(expected.argmax(-1) == Y[1200:])) <= 0.01
    assert file.parameters == model.count_params()
    assert file.output_steps[0] > 0
    checked = data.drawn("validation", 256)
    agreed = np.mean(file(checked).argmax(-1) == model.predict(checked, verbose=0).argmax(-1))
    assert made.notes[0].startswith(f"{agreed:.1%} of the decisions agree, relative error 0.0")
    assert made.notes[0].endswith("on 256 rows")
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(model.fit(X[:64], Y[:64], verbose=0).history["loss"][0])


@pytest.mark.slow
@pytest.mark.nightly
def test_full_int8_of_an_lstm_crashes_its_converter_and_not_the_caller(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 3)), layers.LSTM(4, name="memory"), layers.Dense(2)])
    data = tfkit.Data((RNG.normal(size=(60, 6, 3)).astype("float32"), np.zeros(60)))
    text = r"converting model .* to int8 LiteRT failed: .* signal 11 \(SIGSEGV\); set unroll=True .*\(memory\)"
    with pytest.raises(tfkit.ConversionError, match=text) as caught:
        Quantize().compress(model, data, epochs=0, directory=tmp_path)
    assert "Segmentation fault" in caught.value.log
    assert list(tmp_path.iterdir()) == []
    model.layers[0].unroll = True  # the way out that the text names
    made = Quantize().compress(model, data, epochs=0, directory=tmp_path)
    rows = data.arrays("train")[0]
    expected = model.predict(rows, verbose=0)
    assert np.linalg.norm(LiteRT(made.artifacts["litert"])(rows) - expected) < 0.1 * np.linalg.norm(expected)


@pytest.mark.slow
def test_text_inputs_are_refused_by_the_names_of_their_operations(tmp_path):
    vectorize = layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    vectorize.adapt(["good film", "bad film"])
    model = keras.Sequential(
        [keras.Input((), dtype="string"), vectorize, layers.Embedding(20, 4), layers.Flatten(), layers.Dense(1)]
    )
    data = tfkit.Data((np.array(["good", "bad film"] * 10), np.zeros(20)))
    text = "LiteRT has no kernel for .*StringLower, StringSplitV2; leave the layers that read text outside"
    with pytest.raises(tfkit.ConversionError, match=text):
        Quantize(activations=None).compress(model, data, epochs=0, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_shape_are_refused(model, tmp_path):
    data = tfkit.Data((X[:50, :60], Y[:50]))
    with pytest.raises(tfkit.DataError, match=r"must have the shape \(None, 64\); got \(50, 60\)"):
        Quantize().compress(model, data, epochs=0, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []
