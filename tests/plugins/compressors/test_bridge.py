"""Keras 3 models as tf_keras models: the same numbers, or a refusal that names the layer."""

import os
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfkit
from tfkit_compressors import tfmot
from tfkit_compressors.bridge import probe
from tfkit_compressors.bridge.layers import twin
from tfkit_compressors.bridge.replay import to_tf_keras
from tfkit_compressors.bridge.training import fit, loss_twin, optimizer_twin

RNG = np.random.default_rng(0)


def sequential(shape, *inner, dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *inner])


def convolutions():
    model = sequential(
        (8, 8, 3),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.Activation("hard_swish"),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(4, 2),
        layers.LeakyReLU(0.1),
        layers.Flatten(),
        layers.Dense(3, "hard_sigmoid", kernel_regularizer="l2", kernel_constraint="max_norm"),
    )
    batch = model.layers[1]
    batch.set_weights([RNG.uniform(0.5, 2, 4) for _ in batch.weights])
    return model


def recurrent():
    inner = layers.LSTM(4, return_sequences=True), layers.GRU(4, return_sequences=True)
    both = layers.Bidirectional(layers.LSTM(3, recurrent_activation="hard_sigmoid"))
    return sequential((6,), layers.Embedding(20, 5, mask_zero=True), *inner, both, layers.Dense(2), dtype="int32")


def attention():
    words = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8)(words)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    return keras.Model(words, layers.Dense(3, "gelu")(layers.GlobalAveragePooling1D()(x)))


def nested():
    image = keras.Input((4, 4, 3), name="image")
    block = sequential((4, 4, 3), layers.Conv2D(3, 3, padding="same", activation="silu", name="conv"))
    inner = keras.Input((4, 4, 3))
    twice = keras.Model(inner, block(block(inner)), name="twice")
    return keras.Model(image, layers.Flatten()(twice(twice(image))))


def several():
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    shared = layers.Dense(5, "relu")
    joined = keras.ops.concatenate([shared(first), 1.0 - 2 * shared(second)], axis=-1)
    outputs = {"joined": layers.Dense(2)(joined), "mean": keras.ops.mean(joined, axis=-1, keepdims=True)}
    return keras.Model({"first": first, "second": second}, outputs)


MODELS = (convolutions, recurrent, attention, nested, several)


@pytest.mark.parametrize("make", MODELS)
def test_the_twin_computes_the_same(make):
    model = make()
    bridge = to_tf_keras(model)
    assert type(bridge.legacy).__module__.startswith("tf_keras.")
    rows = probe._random_rows(model)
    theirs, ours = bridge.legacy(rows), model(rows)
    for left, right in zip(tf.nest.flatten(theirs), tf.nest.flatten(ours), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)
    assert bridge.legacy.count_params() == model.count_params()


@pytest.mark.parametrize("make", [recurrent, nested])
def test_weights_come_back(make):
    model = make()
    bridge = to_tf_keras(model)
    clone = tfmot.tf_keras().models.clone_model(bridge.legacy)
    clone.set_weights([RNG.normal(size=each.shape) for each in clone.get_weights()])
    bridge.bring_back(clone)
    rows = probe._random_rows(model)
    np.testing.assert_allclose(model(rows), clone(rows), atol=1e-5)


@pytest.mark.slow
def test_an_application_is_carried():
    model = keras.applications.MobileNetV3Small((32, 32, 3), weights=None, classes=5)
    rows = RNG.normal(size=(3, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(to_tf_keras(model).legacy(rows), model(rows), atol=1e-6)


def custom():
    class Mine(layers.Layer):
        def call(self, x):
            return x

    return sequential((4,), Mine(name="mine"))


def subclassed():
    class Mine(keras.Model):
        def call(self, x):
            return x

    model = Mine(name="mine")
    model(np.ones((1, 4)))
    return model


def grouped():
    x = keras.Input((4, 8))
    return keras.Model(x, layers.GroupQueryAttention(4, 4, 2, name="grouped")(x, x))


REFUSED = {
    r"RMSNormalization 'rms' .*tf_keras has no such layer": lambda: sequential(
        (4,), layers.RMSNormalization(name="rms")
    ),
    r"GroupedQueryAttention 'grouped' .*no such layer": grouped,
    r"RNN 'rnn' .*its cell": lambda: sequential((4, 3), layers.RNN(layers.LSTMCell(3), name="rnn")),
    r"Lambda 'twice' .*Keras 3": lambda: sequential((4,), layers.Lambda(lambda x: 2 * x, name="twice")),
    r"Mine 'mine' .*no layer of Keras's own": custom,
    r"'mine' is a subclassed model \(Mine\)": subclassed,
    r"the input 'words' takes strings": lambda: keras.Model(x := keras.Input((1,), dtype="string", name="words"), x),
}


@pytest.mark.parametrize("match", REFUSED)
def test_what_cannot_be_carried_is_named(match):
    with pytest.raises(tfkit.ModelError, match=match) as caught:
        to_tf_keras(REFUSED[match]())
    assert "\n" not in str(caught.value)


def test_a_quantized_layer_is_named():
    model = sequential((4,), layers.Dense(3, name="out"))
    model.layers[0].quantize("int8")
    with pytest.raises(tfkit.ModelError, match=r"Dense 'out' .*quantized \(int8\)"):
        to_tf_keras(model)


def test_a_difference_is_refused(monkeypatch):
    """A wrong twin: the same shapes, another activation."""
    monkeypatch.setattr("tfkit_compressors.bridge.layers._OTHER_ACTIVATIONS", ())
    with pytest.raises(tfkit.VerificationError, match="computes something else: its outputs differ by up to 0"):
        to_tf_keras(sequential((4,), layers.Dense(3, "hard_sigmoid")))


def test_given_rows_are_compared_too():
    model = sequential((4,), layers.Dense(3))
    legacy = to_tf_keras(model).legacy
    legacy.layers[0].kernel.assign_add(np.eye(4, 3))
    probe.require_same_outputs(model, legacy, np.zeros((2, 4)))
    with pytest.raises(tfkit.VerificationError):
        probe.require_same_outputs(model, legacy, np.ones((2, 4)))


# Training


def trained(optimizer, loss="mse"):
    keras.utils.set_random_seed(0)
    model = sequential((4,), layers.Dense(8, "tanh"), layers.Dense(3, "softmax"))
    model.compile(optimizer, loss, jit_compile=False)
    return model


@pytest.mark.parametrize(
    ("optimizer", "loss"),
    [
        (lambda: keras.optimizers.SGD(keras.optimizers.schedules.InverseTimeDecay(0.5, 2, 1.0)), "mse"),
        (lambda: keras.optimizers.Adam(0.05, clipnorm=0.1), keras.losses.SparseCategoricalCrossentropy()),
        (lambda: keras.optimizers.RMSprop(0.01), keras.losses.Huber(reduction="sum")),
    ],
)
def test_the_twin_trains_alike(optimizer, loss):
    x = RNG.normal(size=(32, 4)).astype("float32")
    y = x[:, :3].argmax(1) if "Sparse" in type(loss).__name__ else np.eye(3)[x[:, :3].argmax(1)]
    weight = RNG.uniform(size=32)
    model = trained(optimizer(), loss)
    data = tfkit.Data(tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(8))
    bridge = to_tf_keras(model)
    fit(bridge.legacy, model, data, epochs=2)
    model.fit(data.dataset("train"), epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), bridge.legacy.get_weights()):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_steps_go_on_where_they_were():
    model = trained(keras.optimizers.SGD(0.1))
    model.fit(np.ones((8, 4)), np.ones((8, 3)), batch_size=4, verbose=0)
    assert int(optimizer_twin(model.optimizer).iterations) == 2


def test_optimizers_and_losses_that_cannot_be_carried():
    for optimizer, match in (
        (keras.optimizers.Muon(), "the optimizer Muon .*none of that name"),
        (keras.optimizers.SGD(gradient_accumulation_steps=2), "SGD .*no gradient_accumulation_steps"),
    ):
        with pytest.raises(tfkit.ModelError, match=match):
            optimizer_twin(optimizer)
    ignoring = keras.losses.SparseCategoricalCrossentropy(ignore_class=0)
    with pytest.raises(tfkit.ModelError, match=r"the loss SparseCategoricalCrossentropy .*ignore_class=0"):
        loss_twin(trained("sgd", ignoring))
    model = several()
    model.compile("sgd", "mse")
    with pytest.raises(tfkit.ModelError, match="has 2 outputs"):
        fit(None, model, None, epochs=1)


# The process


def test_nothing_of_the_process_changes():
    """What this file imported is TFMOT and tf_keras: `tf.keras` is Keras 3 still, and the environment as it was."""
    tfmot.api()
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert tf.keras.Model is keras.Model
    assert keras.config.dtype_policy().name == "float32"


def test_a_missing_tf_keras_is_told(monkeypatch):
    for cached in (tfmot.tf_keras, tfmot.api):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    try:
        with pytest.raises(tfkit.PluginNotFound, match=r"needs tf-keras: pip install 'tfkit-keras\[bridge\]'"):
            tfkit.create("compressor", "tfmot-qat")
    finally:
        for cached in (tfmot.tf_keras, tfmot.api):
            cached.cache_clear()


def test_twin_takes_one_layer():
    made = twin(layers.TimeDistributed(layers.Dense(3, "relu"), name="each"))
    assert (made.name, made.layer.units, made.layer.activation.__name__) == ("each", 3, "relu")
