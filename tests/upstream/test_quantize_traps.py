"""What goes wrong without a word in quantization: each test fails when upstream mends it, so that the repair can go."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfkit
from tfkit.formats.conversion import convert
from tfkit.formats.litert import LiteRT
from tfkit.pipeline.copies import compiled_copy
from tfkit_compressors.quantization.quantize import Quantize

# What Keras says of input layers, on every call of Model.quantize.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")

RNG = np.random.default_rng(0)


def relative_error(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected - expected.mean(axis=0))


def functional(shape, *operations):
    keras.utils.set_random_seed(0)
    inputs = value = keras.Input(shape)
    for operation in operations:
        value = operation(value)
    return keras.Model(inputs, value, name="net")


@pytest.mark.slow
def test_trap_14_an_int4_model_of_keras_exported_to_litert_computes_something_else(tmp_path):
    model = functional((300,), layers.Dense(64, "relu", name="wide"), layers.Dense(5, name="out"))
    x = RNG.normal(size=(64, 300)).astype("float32")
    before = model.predict(x, verbose=0)
    model.quantize("int4")
    expected = model.predict(x, verbose=0)
    assert relative_error(expected, before) < 0.2
    model.export(tmp_path / "upstream.tflite", format="litert", verbose=False)
    assert relative_error(LiteRT(tmp_path / "upstream.tflite")(x), expected) > 1
    text = r"relative error 1\.\d+ on 64 rows; Model.quantize has changed 'wide', 'out': convert the float model"
    with pytest.raises(tfkit.VerificationError, match=text):
        convert(model, tmp_path / "ours.tflite", check=x)
    assert not (tmp_path / "ours.tflite").exists()


def attention():
    inputs = keras.Input((5, 16))
    return keras.Model(inputs, layers.MultiHeadAttention(2, 8, name="look")(inputs, inputs), name="net")


def test_trap_21_a_quantized_attention_saves_and_does_not_load(tmp_path):
    model = attention()
    model.compile("sgd", "mse")
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="A total of 4 objects could not be loaded"):
        keras.models.load_model(tmp_path / "model.keras")
    with pytest.raises(tfkit.ModelError, match=r"saves a MultiHeadAttention that Model\.quantize has changed without"):
        tfkit.load_model(tmp_path / "model.keras")
    with pytest.raises(tfkit.ModelError, match=r"Model\.quantize has changed 'look', .*: begin from the float model"):
        compiled_copy(model)


def upstream_int8(model, x, folder):
    model.export(folder, verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in x)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter.convert()


@pytest.mark.slow
@pytest.mark.parametrize(
    "branch",
    [
        pytest.param(lambda x: keras.ops.where(x > 0, x, x * x), id="where"),
        pytest.param(layers.Activation("celu"), id="celu", marks=pytest.mark.nightly),
    ],
)
def test_trap_35_int8_of_a_choice_between_two_branches_computes_something_else(branch, tmp_path):
    model = functional((16,), branch)
    x = RNG.normal(size=(64, 16)).astype("float32")
    (tmp_path / "upstream.tflite").write_bytes(upstream_int8(model, x, tmp_path / "saved_model"))
    assert relative_error(LiteRT(tmp_path / "upstream.tflite")(x), model.predict(x, verbose=0)) > 0.5
    with pytest.raises(tfkit.VerificationError, match="int8 file does not compute what model 'net' does"):
        convert(model, tmp_path / "ours.tflite", bits=8, activations=8, calibration=x)
    assert not (tmp_path / "ours.tflite").exists()


def test_int4_in_groups_of_weights_of_one_sign_computes_something_else():
    model = functional((128,), layers.Dense(3, name="out"))
    model.layers[-1].kernel.assign(RNG.uniform(0.5, 1, size=(128, 3)))
    x = RNG.normal(size=(64, 128)).astype("float32")
    before = model.predict(x, verbose=0)
    ours = keras.models.clone_model(model)
    ours.set_weights(model.get_weights())
    model.quantize("int4")
    assert relative_error(model.predict(x, verbose=0), before) > 0.25  # all weights are the smallest one now
    made = Quantize(bits=4, activations=None, engine="keras")
    made.compress(ours, tfkit.Data((x, np.zeros((64, 3)))), epochs=0, directory=None)
    assert relative_error(ours.predict(x, verbose=0), before) < 0.1
