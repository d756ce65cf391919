import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from vocabulary_models import SENTENCES, data, text

import tfkit
from tfkit.models import load_model
from tfkit.pipeline.copies import compiled_copy
from tfkit.sizes import keras_bytes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 12)).astype("float32")
DATA = tfkit.Data((X[:64], np.zeros(64)), (X[64:], np.zeros(32)))


def quantized(model, given=DATA, **params):
    made = tfkit.create("compressor", "quantize", engine="keras", **params)
    return made.compress(model, given, epochs=0, directory=None)


def dense():
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(7, "relu", name="hidden", bias_initializer="normal")
    model = keras.Sequential([keras.Input((12,)), hidden, layers.Dense(1, name="out")], name="net")
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def rounded(values, axis, largest):
    """On a grid of one step for each output or row, zero at zero."""
    step = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-9) / largest
    return np.clip(np.round(values / step), -largest - 1, largest) * step


@pytest.mark.parametrize("activations", [None, 8])
@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (4, 7)])
def test_it_computes_with_weights_on_a_grid_and_inputs_if_asked(bits, largest, activations, tmp_path):
    model = dense()
    weights = [each.get_weights() for each in model.layers]
    made = quantized(model, bits=bits, activations=activations)
    value = X.astype("float64")
    for (kernel, bias), activation in zip(weights, (lambda each: np.maximum(each, 0), lambda each: each)):
        value = value if activations is None else rounded(value, -1, 127)
        value = activation(value @ rounded(kernel, 0, largest) + bias)
    np.testing.assert_allclose(made.model(X), value, atol=2e-4)
    assert made.artifacts == {}
    assert made.notes[1:] == ("quantized: 'hidden', 'out'",)
    made.model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(X), made.model(X), atol=1e-6)
    assert [each.name for each in loaded.trainable_variables] == ["bias", "bias"]


@pytest.mark.parametrize("bits", [8, 4])
def test_a_model_that_reads_text_is_quantized_and_measured(bits):
    model = text(width=32)
    before = tfkit.measure(model, SENTENCES[:1], repeats=3)
    largest = 2 ** (bits - 1) - 1
    rows = rounded(np.array(model.get_layer("table").embeddings), -1, largest)
    score = rounded(np.array(model.get_layer("score").kernel), 0, largest)
    made = quantized(model, data(SENTENCES), bits=bits, activations=None)
    np.testing.assert_allclose(made.model.get_layer("table")(np.arange(400)), rows, atol=1e-6)
    found = tfkit.measure(made.model, SENTENCES[:1], repeats=3)
    assert found.parameters == before.parameters == 400 * 32 + 33
    assert found.nonzero == np.count_nonzero(rows) + np.count_nonzero(score)
    saved = 400 * 32 * (4 - bits / 8) - 400 * 4
    assert abs(before.bytes - found.bytes - saved) < 4000
    assert made.notes[1:] == ("quantized: 'table', 'score'",)
    assert re.fullmatch(r"[\d.]+% of the decisions agree, relative error 0.\d+ on 24 rows", made.notes[0])


def test_embeddings_count_two_values_to_a_byte_and_no_scales():
    table = layers.Embedding(50, 5)
    model = keras.Sequential([keras.Input((3,), dtype="int32"), table, layers.Flatten(), layers.Dense(3)])
    rows = RNG.normal(size=(50, 5))
    rows[:, 0] = 0
    table.embeddings.assign(rows)
    count = model.count_params()
    kernel = np.array(model.layers[-1].kernel)
    made = quantized(model, tfkit.Data((RNG.integers(50, size=(40, 3)), np.zeros(40))), bits=4, activations=None)
    found = tfkit.measure(made.model, np.zeros((1, 3), "int32"), repeats=2)
    zeros = (rounded(rows, -1, 7) == 0).sum() + (rounded(kernel, 0, 7) == 0).sum()
    assert (found.parameters, found.nonzero) == (count, count - 3 - zeros)
    assert zeros > 50


@pytest.mark.parametrize("block", [None, 4])
def test_measure_counts_what_keras_has_quantized_in_groups(block):
    kernel = np.repeat(np.array([[0.0], [1.0], [-1.0], [0.5]] * 3), 3, axis=1)
    layer = layers.Dense(3)
    model = keras.Sequential([keras.Input((12,)), layer])
    layer.kernel.assign(kernel)
    layer.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=block))
    found = tfkit.measure(model, X[:1], repeats=2)
    assert (found.parameters, found.nonzero) == (12 * 3 + 3, 9 * 3)


def test_layers_that_keras_would_not_load_again_stay_in_float_and_are_named(tmp_path):
    inputs = keras.Input((4, 12), name="rows")
    inner = keras.Sequential([keras.Input((4, 12)), layers.Dense(8, name="inside")], name="nested")
    value = layers.MultiHeadAttention(2, 4, name="look")(inner(inputs), inner(inputs))
    value = layers.TimeDistributed(layers.Dense(3, name="each"), name="steps")(value)
    value = layers.EinsumDense("abc,cd->abd", (4, 5), name="einsum")(value)
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.Flatten()(value)), name="net")
    rows = RNG.normal(size=(40, 4, 12)).astype("float32")
    made = quantized(model, tfkit.Data((rows, np.zeros(40))), exclude=("out",))
    assert made.notes[1] == "quantized: 'inside', 'einsum'"
    assert made.notes[2] == "in float: 'look' (MultiHeadAttention), 'steps' (TimeDistributed), 'out' (excluded)"
    made.model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(load_model(tmp_path / "model.keras")(rows), made.model(rows), atol=1e-5)


class Own(layers.Dense):
    """A Dense layer that may compute anything."""


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: keras.Sequential([keras.Input((4, 3)), layers.Conv1D(2, 2, name="conv")], name="net"),
            r"model 'net' has no layer that Keras can quantize: .*; there is 'conv' \(Conv1D\)",
        ),
        (lambda: keras.Sequential([keras.Input((3,)), Own(2, name="own")], name="net"), r"there is 'own' \(Own\)"),
        (lambda: keras.Sequential([keras.Input((3,)), layers.ReLU()], name="net"), "there is no layer with a kernel"),
    ],
)
def test_models_without_a_layer_that_keras_quantizes_are_refused_by_name(build, text):
    model = build()
    rows = RNG.normal(size=(8, *model.input_shape[1:])).astype("float32")
    with pytest.raises(tfkit.ModelError, match=text):
        quantized(model, tfkit.Data((rows, np.zeros(8))))


def test_what_is_quantized_already_is_refused_by_name():
    model = quantized(dense()).model
    with pytest.raises(tfkit.ModelError, match=r"'hidden' \(quantized already\), 'out' \(quantized already\)"):
        quantized(model)


def test_an_excluded_name_that_no_layer_has_is_refused():
    with pytest.raises(tfkit.ModelError, match="exclude names 'hiden', and no layer has that name or type; did you"):
        quantized(dense(), exclude=("hiden",))


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"bits": 16, "activations": None},
            r"there is no bits=16, activations=None; of .* is keras-int8",
        ),
        ({"activations": 16}, "there is no bits=8, activations=16"),
        ({"calibration": 5}, "'calibration' of compressor 'quantize' is for engine='litert' alone; got 5 with"),
        ({"timeout": 9.0}, "'timeout' of compressor 'quantize' is for engine='litert' alone; got 9.0 with"),
        ({"bias_correction": True}, "'bias_correction' of compressor 'quantize' is for engine='litert' alone"),
        ({"engine": "onnx"}, "'engine' of compressor 'quantize' must be 'litert' or 'keras'; got 'onnx'"),
    ],
)
def test_create_refuses(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        tfkit.create("compressor", "quantize", **{"engine": "keras", **params})


def test_a_trimmed_model_is_quantized_saved_and_copied():
    model = text(width=32)
    steps = [("trim-vocabulary", {"keep": 0.25}), ("quantize", {"engine": "keras", "activations": None})]
    sizes = [len(keras_bytes(model))]
    for name, params in steps:
        model = compiled_copy(model)
        made = tfkit.create("compressor", name, **params).compress(model, data(SENTENCES), epochs=0, directory=None)
        model = made.model
        sizes.append(len(keras_bytes(model)))
    assert sizes[0] - sizes[1] > 4 * 32 * 298
    assert sizes[1] > sizes[2]
    rows = tf.constant(SENTENCES[96:].astype(str))
    copied = compiled_copy(model)
    np.testing.assert_allclose(copied(rows), model(rows), atol=1e-6)
    assert copied.get_layer("table").input_dim == 2 + 100
