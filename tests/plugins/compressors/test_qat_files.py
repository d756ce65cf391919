"""What qat makes of a trained model: a file that decides as the model does, in as few bits as it can bear."""

import keras
import numpy as np
import pytest
from keras import layers
from qat_models import DATA, RNG, SOFT, X, Y, fake_quantized

import tfkit
from tfkit.formats.flatbuffer import count_by_type
from tfkit.formats.litert import LiteRT
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.qat import QuantizationAwareTraining as Qat
from tfkit_compressors.qat.sensitivity import sensitivity
from tfkit_compressors.qat.weights import chosen
from tfkit_compressors.schemas import Qat as Settings


def cnn():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, use_bias=False, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="cnn",
    )


def trained(model, epochs=6):
    model.compile(keras.optimizers.Adam(3e-3), SOFT, metrics=["accuracy"])
    model.fit(*DATA.train, epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def float_cnn():
    return trained(cnn())


def copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(keras.optimizers.Adam(1e-3), SOFT, metrics=["accuracy"])
    return copy


def accuracy(predictions):
    return np.mean(predictions.argmax(-1) == Y[1200:])


@pytest.mark.slow
def test_int8_of_a_cnn_decides_as_the_fake_quantized_model_and_keeps_accuracy(float_cnn, tmp_path):
    model = copied(float_cnn)
    made = tfkit.create("compressor", "qat").compress(model, DATA, epochs=1, directory=tmp_path)
    assert made.model is model
    assert [each.name for each in tmp_path.iterdir()] == ["qat-int8.tflite"]
    file = LiteRT(made.artifacts["litert"])
    outputs = file(X[1200:])
    assert file.output_steps == (1 / 256,)
    floats = count_by_type(made.artifacts["litert"].read_bytes())
    assert set(floats) <= {"INT8", "INT32"}, floats
    assert accuracy(outputs) >= accuracy(float_cnn.predict(X[1200:], verbose=0)) - 0.02
    assert np.mean(outputs.argmax(-1) == model.predict(X[1200:], verbose=0).argmax(-1)) >= 0.98
    assert made.notes[0].endswith("of 597 decisions are the fake-quantized model's")
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)
    model.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "plain.keras")
    np.testing.assert_allclose(again.predict(X[:9], verbose=0), model.predict(X[:9], verbose=0), atol=1e-6)


@pytest.mark.slow
def test_4_bit_weights_with_8_bit_activations_are_stored_in_4_bits(float_cnn, tmp_path):
    model = copied(float_cnn)
    made = Qat(bits=4).compress(model, DATA, epochs=0, directory=tmp_path)
    counts = count_by_type(made.artifacts["litert"].read_bytes())
    assert counts["INT4"] == 3 * 3 * 8 * 16 + 16 * 4 * 4 * 32
    assert made.notes[1] == "4 bits in 2 of 4 kernels: cnn/conv2d_1/kernel, cnn/dense/kernel".replace(
        "conv2d_1", model.layers[4].name
    ).replace("dense/", f"{model.layers[8].name}/")
    for layer, axis in ((model.layers[4], 3), (model.layers[8], 1)):
        kernel = layer.kernel.numpy()
        assert max(len(np.unique(each.round(6))) for each in np.moveaxis(kernel, axis, 0)) <= 15
    assert model.optimizer.iterations == 0


@pytest.mark.slow
def test_an_lstm_keeps_float_activations(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8)), layers.LSTM(16, name="memory"), layers.Dense(10, "softmax")])
    data = tfkit.Data((X[:1200, ..., 0], Y[:1200]), (X[1200:, ..., 0], Y[1200:]))
    model.compile(keras.optimizers.Adam(1e-2), SOFT)
    with pytest.raises(tfkit.TfkitError, match=r"no 8-bit activations .*memory.*: use activations=None"):
        Qat().compress(model, data, epochs=1, directory=tmp_path)
    made = Qat(activations=None).compress(model, data, epochs=6, directory=tmp_path)
    outputs = LiteRT(made.artifacts["litert"])(data.validation[0])
    assert np.mean(outputs.argmax(-1) == model.predict(data.validation[0], verbose=0).argmax(-1)) >= 0.995
    assert accuracy(outputs) > 0.6
    kernel = model.layers[0].cell.recurrent_kernel.numpy()
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)


@pytest.mark.slow
def test_an_attention_model_trains_and_converts(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8))
    x = layers.Dense(24)(inputs)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x)])
    x = layers.Flatten()(layers.LayerNormalization()(x))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    data = tfkit.Data((X[:1200, ..., 0], Y[:1200]), (X[1200:, ..., 0], Y[1200:]))
    model.compile(keras.optimizers.Adam(5e-3), SOFT)
    assert len(chosen(model, Settings())) == 6
    fake = FakeQuantization(model, Settings())
    assert fake.score_step > 0
    made = Qat().compress(model, data, epochs=10, directory=tmp_path)
    assert accuracy(LiteRT(made.artifacts["litert"])(data.validation[0])) > 0.85
    assert float(made.notes[0].partition("%")[0]) >= 99


def test_the_export_equals_the_fake_quantized_model(float_cnn):
    model = copied(float_cnn)
    fake = FakeQuantization(model, Settings())
    fake.calibrate([X[:128], X[128:256]])
    fake.bake()
    with fake.installed():
        expected = model(X[1200:1300], training=False).numpy()
    with fake.exported():
        outputs = model(X[1200:1300], training=False).numpy()
    # Folding adds in another order, by which a value in the middle of two steps may take the other one.
    assert np.mean(np.abs(outputs - expected) > 1e-4) < 0.05
    assert np.abs(outputs - expected).max() <= 8 / 256


def test_sensitivity_measures_one_kernel_at_a_time_and_leaves_the_model(float_cnn):
    before = float_cnn.get_weights()
    rows = sensitivity(float_cnn, DATA)
    for one, other in zip(before, float_cnn.get_weights()):
        np.testing.assert_array_equal(one, other)
    assert len(rows) == 8
    assert {row["bits"] for row in rows} == {4, 8}
    four = {row["kernel"]: row for row in rows[:4]}
    eight = {row["kernel"]: row for row in rows[4:]}
    changed = next(path for path, row in four.items() if row["bits"] == 4)
    assert four[changed]["sqnr_db"] < eight[changed]["sqnr_db"] - 10
    model = copied(float_cnn)
    kernel = next(each for each in model.weights if each.shape == tuple(float_cnn.layers[4].kernel.shape))
    kernel.assign(fake_quantized(kernel.numpy(), 4, 3))
    expected = np.mean(model.predict(X[1200:], verbose=0).argmax(-1) == Y[1200:])
    np.testing.assert_allclose(four[float_cnn.layers[4].kernel.path]["metric"], expected, atol=2e-3)


def test_max_drop_gives_4_bits_to_what_can_bear_them(float_cnn):
    from tfkit_compressors.qat.sensitivity import within_drop

    def four(max_drop):
        bits = within_drop(float_cnn, DATA, Settings(bits=4, max_drop=max_drop))
        return sum(each == 4 for each in bits.values())

    assert four(1.0) == 2
    broken = copied(float_cnn)
    broken.layers[8].kernel.assign(np.where(RNG.random((256, 32)) < 0.001, 40.0, broken.layers[8].kernel.numpy()))
    bits = within_drop(broken, DATA, Settings(bits=4, max_drop=0.0))
    assert set(bits.values()) <= {4, 8}
