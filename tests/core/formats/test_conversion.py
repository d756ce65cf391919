import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import tfkit
from tfkit import worker
from tfkit.formats.conversion import convert
from tfkit.formats.litert import LiteRT
from tfkit.formats.precisions import PRECISIONS

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated.*")

X = (load_digits().images[..., None] / 16).astype("float32")
Y = load_digits().target
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def cnn():
    """A convolutional network with BatchNormalization, trained on 1200 digits."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="pixels"),
            layers.Conv2D(16, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X[:1200], Y[:1200], epochs=15, verbose=0)
    return model


@pytest.fixture(scope="module")
def mlp():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
    model.set_weights([RNG.normal(size=each.shape) for each in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def files(cnn, tmp_path_factory):
    """A conversion of each precision but those that other tests take."""
    folder = tmp_path_factory.mktemp("files")
    return {
        name: convert(
            cnn, folder / f"{name}.tflite", bits=bits, activations=activations, calibration=X[:100], check=X[1200:]
        )
        for (bits, activations), name in PRECISIONS.items()
        if name not in ("float16", "int16x8") and bits != 4
    }


@pytest.mark.slow
def test_every_precision_keeps_the_accuracy_and_has_its_size(cnn, files):
    expected = cnn.predict(X[1200:], verbose=0)
    accuracy = np.mean(expected.argmax(-1) == Y[1200:])
    assert accuracy > 0.9
    bounds = {"float": 1e-5, "dynamic-int8": 0.02, "int8": 0.06}
    for name, bound in bounds.items():
        file = LiteRT(files[name].path)
        outputs = file(X[1200:])
        assert abs(np.mean(outputs.argmax(-1) == Y[1200:]) - accuracy) <= 0.01
        assert np.abs(outputs - expected).max() < 5 * bound
        error = np.linalg.norm(outputs - expected) / np.linalg.norm(expected - expected.mean(0))
        assert error < bound
        assert files[name].fidelity.relative_error == pytest.approx(error, rel=1e-3, abs=1e-6)
        assert files[name].fidelity.agreement == pytest.approx(np.mean(outputs.argmax(-1) == expected.argmax(-1)))
        # The convolution that BatchNormalization is folded into has got a bias.
        assert file.parameters == 9 * 16 + 16 + 9 * 16 * 32 + 32 + 32 * 10 + 10
        assert [(port.name, port.dtype, port.shape) for port in file.inputs] == [
            ("pixels", np.float32, (None, 8, 8, 1))
        ]
        assert [(port.name, port.dtype) for port in file.outputs] == [("digit", np.float32)]
    sizes = {name: made.path.stat().st_size for name, made in files.items()}
    assert max(sizes["int8"], sizes["dynamic-int8"]) < 0.55 * sizes["float"]
    assert sorted(each.name for each in files["int8"].path.parent.iterdir()) == sorted(
        f"{name}.tflite" for name in files
    )


@pytest.mark.slow
def test_int8_is_what_tensorflows_own_export_makes_of_the_same_rows(cnn, files, tmp_path):
    cnn.export(
        tmp_path / "own.tflite",
        format="litert",
        verbose=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([row[None]] for row in X[:100]),
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
    )
    np.testing.assert_array_equal(LiteRT(files["int8"].path)(X[1200:]), LiteRT(tmp_path / "own.tflite")(X[1200:]))


@keras.saving.register_keras_serializable(package="test_conversion")
class Doubled(layers.Layer):
    """A layer whose code the converter's process does not have."""

    def call(self, x):
        return 2 * x


@pytest.mark.slow
def test_names_and_order_are_the_models(tmp_path):
    inputs = {name: keras.Input((width,), name=name) for name, width in (("wide", 6), ("narrow", 4), ("middle", 5))}
    joined = Doubled()(layers.Concatenate()(list(inputs.values())))
    model = keras.Model(inputs, {"z": layers.Dense(3)(joined), "a": layers.Dense(2)(joined)})
    given = {name: RNG.normal(size=(30, tensor.shape[1])).astype("float32") for name, tensor in inputs.items()}
    file = LiteRT(convert(model, tmp_path / "named.tflite", bits=8, activations=16, calibration=given).path)
    expected = {name: tensor.numpy() for name, tensor in model(given).items()}
    names = [port.name for port in file.outputs]
    assert sorted(names) == ["a", "z"]
    assert [port.name for port in file.inputs] == list(model.input)
    by_name, by_order = file(given), file([given[name] for name in model.input])
    for name, one, other in zip(names, by_name, by_order):
        np.testing.assert_array_equal(one, other)
        assert np.linalg.norm(one - expected[name]) < 0.02 * np.linalg.norm(expected[name])


@pytest.mark.slow
@pytest.mark.nightly
def test_mixed_precision_is_converted_from_float32_and_stays_as_it_is(tmp_path):
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", dtype=policy),
            layers.Flatten(dtype=policy),
            layers.Dense(3, activation="softmax", dtype="float32"),
        ]
    )
    path = convert(model, tmp_path / "mixed.tflite", bits=16, check=X[:50]).path
    assert [layer.compute_dtype for layer in model.layers] == ["float16", "float16", "float32"]
    same = keras.Sequential([keras.Input((8, 8, 1)), *(layers.deserialize(_plain(each)) for each in model.layers)])
    same.set_weights([each.astype("float16") for each in model.get_weights()])
    np.testing.assert_allclose(LiteRT(path)(X[:50]), same.predict(X[:50], verbose=0), atol=1e-6)


def _plain(layer):
    config = layers.serialize(layer)
    config["config"]["dtype"] = "float32"
    return config


@pytest.mark.slow
@pytest.mark.nightly
def test_a_recurrent_model_has_a_batch_of_one_that_does_not_show(tmp_path):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((7, 3)), layers.LSTM(5), layers.Dense(2)])
    given = RNG.normal(size=(9, 7, 3)).astype("float32")
    file = LiteRT(convert(model, tmp_path / "lstm.tflite").path)
    assert file.inputs[0].shape == (1, 7, 3)
    np.testing.assert_allclose(file(given), model.predict(given, verbose=0), atol=1e-6)


@pytest.mark.slow
def test_a_file_that_computes_something_else_is_refused_and_the_old_one_stays(mlp, files, cnn, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"the old one")
    other = keras.models.clone_model(cnn)

    def swapped(target, *, path, **kwargs):
        shutil.copy(files["float"].path, path)
        return True

    monkeypatch.setattr(worker, "call", swapped)
    with pytest.raises(
        tfkit.VerificationError, match=r"the float file .* of the decisions agree, relative error \S+ on 300 rows"
    ):
        convert(other, path, check=X[:300])
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]
    # The same file is right for the model that it was made of.
    assert not convert(cnn, path, check=X[:300]).fidelity.far
    assert path.read_bytes() == files["float"].path.read_bytes()


def test_a_converter_that_takes_too_long_is_stopped(mlp, tmp_path):
    with pytest.raises(tfkit.ConversionError, match=r"^converting model '.*' to float LiteRT took longer than 0.2 s"):
        convert(mlp, tmp_path / "late.tflite", timeout=0.2)
    with pytest.raises(tfkit.ConversionError, match=r"^converting model '.*' to qat-int8 LiteRT took longer"):
        convert(mlp, tmp_path / "late.tflite", bits=8, timeout=0.2, label="qat-int8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pair", [(2, 8), (4, 4), (16, 8), (None, 8), (8, 4), (16, 16)])
def test_other_pairs_of_bits_are_refused_with_those_there_are(mlp, tmp_path, pair):
    text = r"\(8, 8\) is int8, \(8, 16\) is int16x8, \(8, None\) is dynamic-int8, \(16, None\) is float16"
    with pytest.raises(tfkit.ParameterError, match=f"there is no bits={pair[0]}, activations={pair[1]};.*{text}"):
        convert(mlp, tmp_path / "model.tflite", bits=pair[0], activations=pair[1], calibration=np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("calibration", "text"),
    [
        (None, "int8 takes the ranges of activations from real rows: pass calibration="),
        (np.zeros((5, 3)), r"'inputs' must have the shape \(None, 4\); got \(5, 3\)"),
        (np.zeros((0, 4)), "one row or more"),
        (np.array([["a"] * 4]), "must be of dtype float32; got <U1"),
        ((np.zeros((5, 4)), np.zeros((5, 4))), "2 inputs where the model takes one"),
    ],
)
def test_rows_that_do_not_fit_are_refused(mlp, tmp_path, calibration, text):
    with pytest.raises(tfkit.DataError, match=text):
        convert(mlp, tmp_path / "model.tflite", bits=8, activations=8, calibration=calibration)


def test_a_path_that_cannot_be_written_is_refused(mlp, tmp_path):
    with pytest.raises(tfkit.ParameterError, match="is no folder, or is not writable"):
        convert(mlp, tmp_path / "nowhere" / "model.tflite")
    with pytest.raises(tfkit.ParameterError, match="it is a folder"):
        convert(mlp, tmp_path)


def test_a_model_that_is_not_built_is_refused(tmp_path):
    with pytest.raises(tfkit.ModelError, match="is not built"):
        convert(keras.Sequential([layers.Dense(2)]), tmp_path / "model.tflite")


def test_a_model_that_cannot_be_saved_is_refused(tmp_path):
    # A table that belongs to no layer.
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([0, 1], [2.0, 3.0], tf.int32), 0.0)
    looked_up = layers.Lambda(lambda ids: table.lookup(ids), output_shape=(3,))
    model = keras.Sequential([keras.Input((3,), dtype="int32"), looked_up, layers.Dense(1)])
    with pytest.raises(tfkit.ModelError, match=r"cannot be saved for the converter: .*untracked"):
        convert(model, tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []
