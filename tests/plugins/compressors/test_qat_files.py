"""What qat makes of a trained model: a file that decides as the model does, in as few bits as it can bear."""

import shutil

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from qat_models import DATA, RNG, SOFT, X, Y, fake_quantized

import tfkit
from tfkit.formats.flatbuffer import count_by_type
from tfkit.formats.litert import LiteRT
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.frozen import Frozen
from tfkit_compressors.qat.mixed import within_drop
from tfkit_compressors.qat.qat import QuantizationAwareTraining as Qat
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
    assert "% of the decisions agree" in made.notes[0]
    assert made.notes[0].endswith("on 597 rows")
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)
    model.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "plain.keras")
    np.testing.assert_allclose(again.predict(X[:9], verbose=0), model.predict(X[:9], verbose=0), atol=1e-6)


@pytest.mark.slow
@pytest.mark.nightly
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
@pytest.mark.nightly
def test_an_lstm_keeps_float_activations_and_each_kernel_its_own_bits(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8)), layers.LSTM(16, name="memory"), layers.Dense(10, "softmax")])
    data = tfkit.Data((X[:1200, ..., 0], Y[:1200]), (X[1200:, ..., 0], Y[1200:]))
    model.compile(keras.optimizers.Adam(1e-2), SOFT)
    with pytest.raises(tfkit.TfkitError, match=r"no 8-bit activations .*memory.*: use activations=None"):
        Qat().compress(model, data, epochs=1, directory=tmp_path)
    made = Qat(bits=4, activations=None).compress(model, data, epochs=6, directory=tmp_path)
    outputs = LiteRT(made.artifacts["litert"])(data.validation[0])
    assert np.mean(outputs.argmax(-1) == model.predict(data.validation[0], verbose=0).argmax(-1)) >= 0.995
    assert accuracy(outputs) > 0.6
    cell = model.layers[0].cell
    for kernel, bits in ((cell.kernel.numpy(), 8), (cell.recurrent_kernel.numpy(), 4)):
        np.testing.assert_allclose(kernel, fake_quantized(kernel, bits, -1), atol=1e-6)
    counts = count_by_type(made.artifacts["litert"].read_bytes())
    assert counts["INT4"] == cell.recurrent_kernel.numpy().size


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


def test_a_depthwise_convolution_that_nothing_is_folded_into_is_exported():
    keras.utils.set_random_seed(0)
    inner = [layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"), layers.Flatten(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *inner])
    fake = FakeQuantization(model, Settings())
    fake.calibrate([X[:128]])
    fake.bake()
    with fake.installed():
        expected = model(X[:64], training=False).numpy()
    with fake.exported():
        np.testing.assert_allclose(model(X[:64], training=False), expected, atol=0.02 * np.ptp(expected))


@pytest.mark.nightly
def test_max_drop_gives_4_bits_to_what_can_bear_them(float_cnn):
    model = copied(float_cnn)
    norm, kernel = model.layers[5], model.layers[8].kernel
    norm.gamma.assign(np.eye(1, 16)[0] * -norm.gamma.numpy()[0] + norm.gamma.numpy())
    norm.beta.assign(np.where(np.arange(16) == 0, -1.0, norm.beta.numpy()))
    # Weights of a channel that is always 0 stretch the grids: 4 bits have no step left for the other weights.
    values = kernel.numpy()
    values[::16] = 15 * np.abs(values).max(0)
    kernel.assign(values)
    before = model.get_weights()
    bits = {max_drop: within_drop(model, DATA, Settings(bits=4, max_drop=max_drop)) for max_drop in (0.0, 0.05, 1.0)}
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)
    first, second, hidden, out = (model.layers[each].kernel for each in (0, 4, 8, 9))
    assert [bits[0.05][id(each)] for each in (first, second, hidden, out)] == [8, 4, 8, 8]
    assert [bits[1.0][id(each)] for each in (first, second, hidden, out)] == [8, 4, 4, 8]
    assert bits[0.0][id(hidden)] == 8


def integer_kernels(path):
    """The 8-bit kernels of a file by their number of values and of their first axis."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    found = [each for each in model.subgraphs[0].tensors if len(each.shape) > 1 and each.type == schema.TensorType.INT8]
    data = [(each.shape, model.buffers[each.buffer].data) for each in found]
    return {
        (int(np.prod(shape)), shape[0]): np.asarray(values, "uint8").view("int8")
        for shape, values in data
        if values is not None
    }


def folding():
    """A Conv2D and a Dense, each with a BatchNormalization that is folded into it."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, name="conv"),
            layers.BatchNormalization(name="first"),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.BatchNormalization(name="second"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(16, name="hidden"),
            layers.BatchNormalization(name="third"),
            layers.ReLU(),
            layers.Dense(10, activation="softmax", name="out"),
        ]
    )
    rng = np.random.default_rng(3)
    for norm in (model.get_layer(name) for name in ("first", "second", "third")):
        norm.gamma.assign(rng.choice([-1, 1], norm.gamma.shape) * rng.uniform(0.3, 3, norm.gamma.shape))
        norm.beta.assign(rng.normal(size=norm.beta.shape))
        norm.moving_mean.assign(rng.normal(size=norm.beta.shape) / 5)
        norm.moving_variance.assign(rng.uniform(0.5, 2, size=norm.beta.shape))
    model.get_layer("out").kernel.assign(model.get_layer("out").kernel * 4)
    return model


@pytest.mark.parametrize("frozen", ["conv", "depthwise", "hidden"])
@pytest.mark.parametrize("way", ["exclude", "trainable"])
def test_a_batch_normalization_is_folded_into_a_kernel_in_float_too(frozen, way):
    model = folding()
    model.get_layer(frozen).trainable = way == "exclude"
    fake = FakeQuantization(model, Settings(exclude=(frozen,) * (way == "exclude")))
    fake.calibrate([X[:256]])
    fake.bake()
    with fake.installed():
        expected = model(X[:256], training=False).numpy()
    with fake.exported():
        outputs = model(X[:256], training=False).numpy()
    with fake.installed():
        np.testing.assert_array_equal(model(X[:256], training=False), expected)
    assert np.mean(np.abs(outputs - expected) > 1e-4) < 0.05
    assert np.abs(outputs - expected).max() <= 8 / 256
    assert expected.std() > 0.1


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """A clustered model whose depthwise kernel is in float, and what qat makes of it."""
    model = folding()
    model.get_layer("depthwise").trainable = False
    clusters = np.linspace(-0.5, 0.5, 7)
    for kernel in (model.get_layer("conv").kernel, model.get_layer("hidden").kernel):
        kernel.assign(clusters[RNG.integers(0, 7, kernel.shape)])
    return model, Qat().compress(model, DATA, epochs=0, directory=tmp_path_factory.mktemp("folded"))


@pytest.mark.slow
@pytest.mark.nightly
def test_a_folded_file_has_kernels_in_float_folded_and_clusters_whole(folded):
    _, made = folded
    assert float(made.notes[0].partition("model: ")[2].partition("%")[0]) >= 99
    stored = integer_kernels(made.artifacts["litert"])
    for found in (stored[3 * 3 * 8, 8], stored[4 * 4 * 8 * 16, 16]):
        # A negative gamma turns the clusters of its channel round; they lie as far on either side of 0.
        assert set(np.unique(found)) == {-127, -85, -42, 0, 42, 85, 127}


@pytest.mark.slow
@pytest.mark.nightly
def test_a_file_is_compared_with_the_fake_quantized_model_and_not_with_what_was_exported(folded, tmp_path, monkeypatch):
    model, made = folded
    monkeypatch.setattr(
        "tfkit_compressors.qat.qat.convert",
        lambda model, path, **params: shutil.copy(made.artifacts["litert"], path),
    )
    monkeypatch.setattr(Frozen, "_scale", lambda self, layer: np.float32(1.0))
    Qat().compress(model, DATA, epochs=0, directory=tmp_path)
    (path,) = tmp_path.iterdir()
    path.unlink()
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    other.get_layer("out").kernel.assign(np.roll(model.get_layer("out").kernel, 1, axis=1))
    with pytest.raises(tfkit.VerificationError, match=r"^the file .* fake-quantized model '.*' does"):
        Qat().compress(other, DATA, epochs=0, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []
