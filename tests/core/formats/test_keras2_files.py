"""Files of Keras 2, made with tf_keras, opened by Keras 3: the same outputs, or a refusal that names the layer."""

import json

import h5py
import keras
import numpy as np
import pytest

import tfkit
from tfkit.formats.keras2 import modern_model
from tfkit_compressors import tfmot

RNG = np.random.default_rng(0)
LIBRARY = tfmot.tf_keras()
layers = LIBRARY.layers
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")


def saved(model, path, change=None, version="2.15.0"):
    """The model's .h5 with its configuration changed, as another version of Keras 2 would have written it."""
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        if change is not None:
            change(config)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = version
    return path


def without_input_layer(config):
    del config["config"]["layers"][0]
    assert "batch_input_shape" in config["config"]["layers"][0]["config"]


def convolutions():
    image = LIBRARY.Input((8, 8, 3))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(image)))
    x = layers.Add()([x, layers.SeparableConv2D(3, 1)(x)])
    x = layers.LeakyReLU(0.2)(layers.Conv2DTranspose(4, 2)(x))
    x = layers.ThresholdedReLU(0.1)(layers.GlobalAveragePooling2D()(x))
    return LIBRARY.Model(image, layers.Dense(2, "softmax")(x))


def recurrent():
    return LIBRARY.Sequential(
        [
            layers.Embedding(20, 4, input_length=6),
            layers.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid"),
            layers.GRU(3, return_sequences=True, reset_after=False),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(2)),
            layers.SimpleRNN(2),
        ]
    )


def cells():
    deep = layers.RNN([layers.LSTMCell(4, recurrent_activation="hard_sigmoid"), layers.GRUCell(3)], time_major=False)
    per_row = LIBRARY.Sequential([LIBRARY.Input((4,)), layers.Dense(5), layers.ReLU(), layers.Dense(4)])
    inner = LIBRARY.Input((4,))
    also = LIBRARY.Model(inner, layers.LeakyReLU(0.2)(layers.Dense(4)(inner)))
    return LIBRARY.Sequential(
        [
            LIBRARY.Input((6, 4)),
            layers.RNN(layers.SimpleRNNCell(4), return_sequences=True),
            layers.TimeDistributed(per_row),
            layers.TimeDistributed(also),
            layers.Bidirectional(layers.RNN(layers.LSTMCell(2), return_sequences=True)),
            deep,
        ]
    )


def nested():
    rows = LIBRARY.Input((6, 4))
    first = LIBRARY.Sequential([layers.Conv1D(3, 2, input_shape=(6, 4)), layers.ReLU()])
    inner = LIBRARY.Input((5, 3))
    second = LIBRARY.Model(inner, layers.Dense(3)(inner))
    return LIBRARY.Model(rows, second(second(first(rows))))


def attention():
    rows, other = LIBRARY.Input((4, 6), name="rows"), LIBRARY.Input((5, 6), name="other")
    return LIBRARY.Model([rows, other], layers.MultiHeadAttention(2, 3)(rows, value=other, key=other))


def inner_without_input_layer(config):
    without_input_layer(next(each for each in config["config"]["layers"] if each["class_name"] == "Sequential"))


def named_model(config):
    config["class_name"] = "Model"


CASES = {
    "convolutions": (convolutions, None, "2.15.0"),
    "called Model": (convolutions, named_model, "2.2.4-tf"),
    "recurrent": (recurrent, without_input_layer, "2.3.1"),
    "cells": (cells, None, "2.15.0"),
    "nested": (nested, None, "2.15.0"),
    "nested 2.3": (nested, inner_without_input_layer, "2.3.1"),
    "attention": (attention, None, "2.15.0"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_it_did(case, tmp_path):
    make, change, version = CASES[case]
    model = make()
    path = saved(model, tmp_path / "model.h5", change, version)
    with pytest.raises((ValueError, TypeError)):
        keras.saving.load_model(path)
    opened = tfkit.load_model(path)
    shapes = [tuple(each.shape) for each in model.inputs]
    assert [tuple(each.shape) for each in opened.inputs] == shapes
    make_rows = RNG.integers if make is recurrent else lambda low, high, size: RNG.normal(size=size)
    rows = [make_rows(0, 20, (3, *shape[1:])) for shape in shapes]
    x = rows if len(rows) > 1 else rows[0]
    np.testing.assert_allclose(opened(x), model(x), atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "loss", "metrics"),
    [
        (LIBRARY.optimizers.legacy.SGD(0.1, decay=0.5, momentum=0.9), "mse", ["mae"]),
        (LIBRARY.optimizers.Adam(0.1), LIBRARY.losses.CategoricalCrossentropy(label_smoothing=0.1), ["accuracy"]),
    ],
)
def test_it_is_compiled_as_it_was(optimizer, loss, metrics, tmp_path):
    model = LIBRARY.Sequential([layers.Dense(2, "softmax", input_shape=(4,))])
    model.compile(optimizer, loss, metrics=metrics)
    x, y = RNG.normal(size=(8, 4)), np.eye(2)[[0, 1] * 4]
    model.evaluate(x, y, verbose=0)
    opened = tfkit.load_model(saved(model, tmp_path / "model.h5"))
    np.testing.assert_allclose(opened.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-5)
    for each in (opened, model):
        each.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(opened.get_weights(), model.get_weights()):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_what_it_cannot_be_compiled_with_is_told(tmp_path):
    def mine(y_true, y_pred):
        return LIBRARY.backend.mean(y_true - y_pred)

    model = LIBRARY.Sequential([layers.Dense(2, input_shape=(4,))])
    model.compile("sgd", mine)
    path = saved(model, tmp_path / "model.h5")
    with pytest.warns(UserWarning, match=r"model\.h5' is opened uncompiled: .*mine"):
        assert not tfkit.load_model(path).compiled


def operator():
    x = LIBRARY.Input((3,))
    return LIBRARY.Model(x, layers.Dense(2)(x * 2.0))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (operator, r"the layer 'tf\.math\.multiply\w*' is a TFOpLambda, a TensorFlow function .*SavedModel"),
        (
            lambda: LIBRARY.Sequential([layers.LocallyConnected1D(2, 2, input_shape=(4, 3), name="local")]),
            "the layer 'local' is a LocallyConnected1D, which Keras 3 has not",
        ),
        (
            lambda: LIBRARY.Sequential([layers.LSTM(2, time_major=True, input_shape=(4, 3), name="major")]),
            r"the layer 'major' \(LSTM\) has time_major=True, which Keras 3 has not",
        ),
        (
            lambda: LIBRARY.Sequential(
                [layers.RNN(layers.GRUCell(2), time_major=True, input_shape=(4, 3), name="major")]
            ),
            r"the layer 'major' \(RNN\) has time_major=True, which Keras 3 has not",
        ),
    ],
)
def test_what_keras_3_has_not_is_named(make, match, tmp_path):
    path = saved(make(), tmp_path / "model.h5")
    with pytest.raises(
        tfkit.ModelError, match=r"model\.h5' is a Keras 2 file that Keras 3 cannot open: " + match
    ) as caught:
        tfkit.load_model(path)
    assert "\n" not in str(caught.value)


def test_inputs_other_than_the_configurations_are_refused(tmp_path, monkeypatch):
    path = saved(recurrent(), tmp_path / "model.h5")
    monkeypatch.setattr("tfkit.formats.keras_files.input_shapes", lambda config: [[None, 7]])
    with pytest.raises(
        tfkit.ModelError, match=r"opens with inputs of the shapes \[\(None, 6\)\], and it says \[\[None, 7\]\]"
    ):
        tfkit.load_model(path)


def test_a_sequential_of_before_2_2_3_is_a_list():
    first = {"class_name": "Dense", "config": {"name": "out", "units": 2, "batch_input_shape": [None, 4]}}
    made = modern_model({"class_name": "Sequential", "config": [first]})
    assert [each["class_name"] for each in made["config"]["layers"]] == ["InputLayer", "Dense"]
    assert "batch_input_shape" not in made["config"]["layers"][1]["config"]
