"""4-bit weights: what is stored, what it costs, what is refused."""

import sys

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from sklearn.datasets import load_digits

import tfkit
from tfkit.children.four_bits import is_same
from tfkit.formats.conversion import convert
from tfkit.formats.litert import LiteRT

DIGITS = load_digits()
IMAGES = (DIGITS.images / 16).astype("float32")[..., None]
TOKENS = DIGITS.data.astype("int32")
Y = DIGITS.target
RNG = np.random.default_rng(0)
DATA = tfkit.Data(((IMAGES[:1200], TOKENS[:1200]), Y[:1200]), ((IMAGES[1200:], TOKENS[1200:]), Y[1200:]))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    image, tokens = keras.Input((8, 8, 1), name="image"), keras.Input((64,), dtype="int32", name="tokens")
    x = layers.Conv2D(16, 3, activation="relu", name="first")(image)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization()(layers.Conv2D(32, 3, use_bias=False, name="big")(x))
    words = layers.Embedding(17, 64, name="words")(tokens)
    heads = layers.MultiHeadAttention(2, 16, name="heads")(words, words)
    read = [layers.GlobalAveragePooling1D()(each) for each in (words, heads)]
    x = layers.Concatenate()([layers.Flatten()(layers.ReLU()(x)), *read])
    outputs = layers.Dense(10, name="out")(layers.Dense(32, activation="relu", name="hidden")(x))
    model = keras.Model([image, tokens], outputs)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit((IMAGES[:1200], TOKENS[:1200]), Y[:1200], epochs=6, verbose=0)
    return model


@pytest.fixture(scope="module")
def made(model, tmp_path_factory):
    def make(**params):
        compressor = tfkit.create("compressor", "quantize", bits=4, **params)
        return compressor.compress(model, DATA, epochs=0, directory=tmp_path_factory.mktemp("made"))

    return {"int4": make(activations=None, exclude=("hidden", "heads")), "int8x4": make()}


def stored(path):
    """Type of every stored tensor of 2 dimensions and more, by its number of values."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    tensors = [each for each in model.subgraphs[0].tensors if len(each.shape) > 1]
    return {
        int(np.prod(each.shape)): (names[each.type], len(model.buffers[each.buffer].data))
        for each in tensors
        if model.buffers[each.buffer].data is not None
    }


@pytest.mark.slow
@pytest.mark.parametrize("label", ["int4", "int8x4"])
@pytest.mark.nightly
def test_outputs_are_near_and_the_decisions_the_same(model, made, label):
    file = LiteRT(made[label].artifacts["litert"])
    rows = (IMAGES[1200:], TOKENS[1200:])
    expected, outputs = model.predict(rows, verbose=0), file(rows)
    assert np.mean(outputs.argmax(-1) == expected.argmax(-1)) >= 0.97
    assert np.mean(outputs.argmax(-1) == Y[1200:]) >= np.mean(expected.argmax(-1) == Y[1200:]) - 0.015
    error = np.linalg.norm(outputs - expected) / np.linalg.norm(expected - expected.mean(axis=0))
    assert 0.001 < error < 0.12
    assert {port.dtype for port in file.inputs + file.outputs} == {np.float32, np.int32}
    assert [port.name for port in file.inputs] == ["image", "tokens"]
    assert "decisions agree, relative error" in made[label].notes[0]


@pytest.mark.slow
@pytest.mark.nightly
def test_big_kernels_take_half_a_byte_and_small_and_excluded_ones_a_byte(made):
    kernels = {"first": 144, "depthwise": 144, "big": 16 * 9 * 32, "words": 17 * 64, "hidden": 32 * 640, "out": 320}
    found = stored(made["int4"].artifacts["litert"])
    four = {kernels["big"]: ("INT4", 2304), kernels["words"]: ("INT4", 544)}
    heads = 64 * 2 * 16
    eight = {size: ("INT8", size) for size in (144, kernels["hidden"], kernels["out"], heads)}
    assert {size: found[size] for size in (*four, *eight)} == four | eight
    counts = f"{kernels['big'] + kernels['words']} INT4, "
    assert counts in made["int4"].notes[1] + ", "
    static = stored(made["int8x4"].artifacts["litert"])
    assert static[heads] == ("INT4", heads // 2)
    assert static[kernels["hidden"]] == ("INT4", kernels["hidden"] // 2)
    assert static[kernels["words"]][0] == "INT8"


def test_a_kernel_is_told_by_its_values_whatever_the_converter_called_it():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 8))
    folded = np.moveaxis(kernel, -1, 0) * np.linspace(0.5, -2, 8)[:, None, None, None]
    assert is_same(kernel, folded)
    assert is_same(kernel[0, 0], kernel[0, 0].T)
    query, output = kernel[0], np.moveaxis(kernel[0], -1, 0)
    assert is_same(query, query.reshape(3, 32).T)
    assert is_same(output, output.reshape(24, 4).T)
    depthwise, transposed = kernel.reshape(1, 3, 3, 32), np.moveaxis(kernel, -2, 0)
    assert is_same(kernel, depthwise)
    assert is_same(kernel, transposed)
    assert not is_same(query, np.roll(query, 1, axis=1).reshape(3, 32).T)
    assert not is_same(kernel.reshape(1, -1), np.random.default_rng(1).normal(size=(kernel.size, 1)))
    assert not is_same(kernel, np.random.default_rng(1).normal(size=folded.shape))
    assert not is_same(kernel, folded[:4])


@pytest.mark.slow
@pytest.mark.nightly
def test_a_kernel_that_is_to_keep_8_bits_and_is_not_known_again_is_refused_by_name(tmp_path):
    """As where the converter multiplies a scale of its inputs into it; here it is a stranger of the same size."""
    model = keras.Sequential([keras.Input((20,)), layers.Dense(64)])
    stranger = keras.Variable(RNG.normal(size=(20, 64)), name="stranger")
    with pytest.raises(tfkit.ConversionError, match=r"'stranger' of shape \(20, 64\) is to keep 8 bits, and the conv"):
        convert(model, tmp_path / "model.tflite", bits=4, exclude=(stranger,))
    assert list(tmp_path.iterdir()) == []


def test_without_the_tool_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(tfkit.PluginNotFound, match=r"'quantize' needs ai-edge-quantizer: pip install "):
        tfkit.create("compressor", "quantize", bits=4)


def test_a_layer_that_is_not_there_is_refused_by_name(model, tmp_path):
    with pytest.raises(tfkit.ModelError, match=r"exclude names 'hiden', .*did you mean 'hidden'"):
        tfkit.create("compressor", "quantize", bits=4, exclude=("hiden",)).compress(
            model, DATA, epochs=0, directory=tmp_path
        )
