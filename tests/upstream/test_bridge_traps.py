"""What goes wrong without a word between Keras 2 and 3: each test fails when upstream mends it."""

import json
import os

import h5py
import keras
import numpy as np
import pytest

import tfkit
from tfkit_compressors import tfmot
from tfkit_compressors.bridge.replay import to_tf_keras

RNG = np.random.default_rng(0)


def test_trap_16_normalization_is_lost_on_the_way_to_tf_keras():
    """What tf_keras computes with is made from the weights when it adapts, and constant in what is traced."""
    layer = keras.layers.Normalization()
    layer.adapt(RNG.normal(3, 2, (50, 4)))
    x = RNG.normal(3, 2, (8, 4)).astype("float32")
    expected = layer(x).numpy()
    theirs = tfmot.tf_keras().Sequential([tfmot.tf_keras().layers.Normalization(input_shape=(4,))])
    theirs.predict(x, verbose=0)
    theirs.set_weights(layer.get_weights())
    assert abs(theirs.predict(x, verbose=0) - expected).max() > 0.5
    legacy = to_tf_keras(keras.Sequential([keras.Input((4,)), layer])).legacy
    np.testing.assert_allclose(legacy.predict(x, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(legacy(x), expected, atol=1e-6)


def test_trap_17_the_whole_of_tfmot_leaves_the_process_as_it_was():
    import tensorflow as tf

    tfmot.api()
    tfmot.quant_ops()
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert tf.keras.Model is keras.Model


def keras_2_3_file(path, *layers):
    """An .h5 as Keras 2.3 wrote it: no InputLayer, its shape in the configuration of the first layer."""
    model = tfmot.tf_keras().Sequential(list(layers))
    with pytest.warns(UserWarning, match="HDF5 file"):
        model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        del config["config"]["layers"][0]
        assert "batch_input_shape" in config["config"]["layers"][0]["config"]
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.3.1"
    return model


def test_trap_20_an_input_shape_on_the_first_layer_gets_one_dimension_too_many(tmp_path):
    layers = tfmot.tf_keras().layers
    path = tmp_path / "model.h5"
    model = keras_2_3_file(path, layers.Dense(5, "relu", input_shape=(68, 21)), layers.Dense(2))
    with pytest.warns(UserWarning, match="Do not pass an `input_shape`"):
        assert keras.saving.load_model(path).input_shape == (None, None, 68, 21)
    opened = tfkit.load_model(path)
    assert opened.input_shape == (None, 68, 21)
    x = RNG.normal(size=(3, 68, 21)).astype("float32")
    np.testing.assert_allclose(opened(x), model(x), atol=1e-6)


def test_trap_37_hard_sigmoid_means_something_else(tmp_path):
    layers = tfmot.tf_keras().layers
    path = tmp_path / "model.h5"
    model = tfmot.tf_keras().Sequential([layers.InputLayer((4,)), layers.Dense(3, "hard_sigmoid")])
    with pytest.warns(UserWarning, match="HDF5 file"):
        model.save(path)
    x = RNG.normal(size=(8, 4)).astype("float32")
    assert abs(keras.saving.load_model(path)(x).numpy() - model(x).numpy()).max() > 0.02
    opened = tfkit.load_model(path)
    np.testing.assert_allclose(opened(x), model(x), atol=1e-6)
    opened.save(tmp_path / "model.keras")
    np.testing.assert_allclose(tfkit.load_model(tmp_path / "model.keras")(x), model(x), atol=1e-6)


def test_trap_38_a_layer_copied_by_tf_keras_takes_its_own_hard_sigmoid():
    """Bidirectional copies what it wraps by the names in its configuration."""
    own = keras.activations.hard_sigmoid
    library = tfmot.tf_keras()
    lstm = library.layers.LSTM(3, recurrent_activation=own)
    both = library.layers.Bidirectional(lstm)
    assert lstm.recurrent_activation is own
    assert both.forward_layer.recurrent_activation is library.activations.hard_sigmoid
    inner = keras.layers.LSTM(3, recurrent_activation="hard_sigmoid")
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.Bidirectional(inner)])
    x = RNG.normal(size=(3, 4, 2)).astype("float32")
    np.testing.assert_allclose(to_tf_keras(model).legacy(x), model(x), atol=1e-6)
