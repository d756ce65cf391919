"""A fit with qat: the same in every mode, and only the kernels are rounded after it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from qat_models import RNG, SOFT, X, Y, dense, fake_quantized

import tfkit
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.qat.kept import distinct_values
from tfkit_compressors.qat.statistics import read_statistics
from tfkit_compressors.schemas import Qat as Settings

FEW = X[:256].reshape(-1, 64), Y[:256]


def losses(model):
    callbacks = [tfkit.callback("compressor", "qat")]
    return model.fit(*FEW, batch_size=32, shuffle=False, verbose=0, epochs=2, callbacks=callbacks).history["loss"]


@pytest.fixture(scope="module")
def reference():
    model = dense(jit_compile=False)
    return losses(model), model


@pytest.mark.parametrize(
    "compiled",
    [{"steps_per_execution": 8}, {"jit_compile": True}, pytest.param({"run_eagerly": True}, marks=pytest.mark.nightly)],
)
def test_the_callback_trains_the_same_in_every_mode(compiled, reference):
    expected, plain = reference
    model = dense(**compiled)
    np.testing.assert_allclose(losses(model), expected, rtol=0.02)
    kernel = model.get_layer("hidden").kernel.numpy()
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)
    np.testing.assert_allclose(kernel, plain.get_layer("hidden").kernel.numpy(), atol=0.02)
    assert "call" not in vars(model)
    assert not any("call" in vars(layer) for layer in model.layers)


def test_mixed_float16_trains_and_keeps_float32_kernels():
    keras.utils.set_random_seed(0)
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(32, activation="relu", dtype=policy),
            layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), SOFT, metrics=["accuracy"])
    history = model.fit(
        X[:1200].reshape(-1, 64), Y[:1200], epochs=4, verbose=0, callbacks=[tfkit.callback("compressor", "qat")]
    )
    assert history.history["accuracy"][-1] > 0.8
    kernel = model.layers[0].kernel.numpy()
    assert kernel.dtype == "float32"
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)


def test_validation_inside_the_fit_and_evaluation_after_it_see_their_own_model():
    model = dense()
    model.evaluate(*FEW, verbose=0)  # leaves a traced test function behind
    callback = tfkit.callback("compressor", "qat", bits=4, activations=None)
    history = model.fit(*FEW, epochs=1, verbose=0, validation_data=FEW, callbacks=[callback])
    after = model.evaluate(*FEW, verbose=0)[0]
    np.testing.assert_allclose(history.history["val_loss"][-1], after, rtol=1e-5)
    model.get_layer("out").kernel.assign_add(np.full((16, 10), 0.01))
    expected = keras.losses.sparse_categorical_crossentropy(FEW[1], model(FEW[0])).numpy().mean()
    np.testing.assert_allclose(model.evaluate(*FEW, verbose=0)[0], expected, rtol=1e-5)


def test_zeros_and_clusters_are_kept_through_training():
    model = dense(units=32)
    sparse, clustered = model.get_layer("hidden").kernel, model.get_layer("out").kernel
    mask = RNG.random(sparse.shape) < 0.2
    sparse.assign(sparse.numpy() * mask)
    centroids = np.linspace(-0.5, 0.5, 8)
    clustered.assign(centroids[RNG.integers(0, 8, clustered.shape)])
    before = clustered.numpy()
    flat = X[:512].reshape(-1, 64), Y[:512]
    model.fit(*flat, epochs=2, verbose=0, callbacks=[tfkit.callback("compressor", "qat")])
    assert (sparse.numpy()[~mask] == 0).all()
    assert (sparse.numpy() != 0).mean() > 0.15
    assert distinct_values(clustered) <= 8
    assert not np.allclose(clustered.numpy(), before)
    loose = tfkit.callback("compressor", "qat", preserve_sparsity=False)
    model.fit(*flat, epochs=1, verbose=0, callbacks=[loose])
    assert (sparse.numpy()[~mask] != 0).any()


def test_statistics_seeds_and_losses_inside_the_model_go_on():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(8, activity_regularizer=keras.regularizers.L2(0.1)),
            layers.BatchNormalization(momentum=0.5),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("sgd", SOFT)
    norm, seeds = model.layers[1], model.layers[2].seed_generator.state
    plain_losses = model(X[:8].reshape(-1, 64)) is not None and len(model.losses)
    before = seeds.numpy().copy()
    fake = FakeQuantization(model, Settings())
    fake.calibrate([X[:64].reshape(-1, 64)])
    assert (norm.moving_mean.numpy() == 0).all()
    with fake.installed():
        model(X[:8].reshape(-1, 64), training=True)
        assert len(model.losses) == plain_losses == 1
    assert (norm.moving_mean.numpy() != 0).any()
    assert not np.array_equal(before, seeds.numpy())


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.inner = layers.Dense(10, activation="softmax")

    def call(self, inputs):
        return self.inner(inputs)


def test_a_subclassed_model_has_quantized_weights_and_no_activations():
    keras.utils.set_random_seed(0)
    model = Own()
    model.compile(keras.optimizers.Adam(1e-2), SOFT, metrics=["accuracy"])
    flat = X[:512].reshape(-1, 64), Y[:512]
    model.fit(*flat, verbose=0)
    with pytest.raises(tfkit.ModelError, match=r"'own' is a subclassed model.*activations=None"):
        model.fit(*flat, verbose=0, callbacks=[tfkit.callback("compressor", "qat")])
    assert "call" not in vars(model)
    model.fit(*flat, epochs=3, verbose=0, callbacks=[tfkit.callback("compressor", "qat", activations=None)])
    kernel = model.inner.kernel.numpy()
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)


def test_a_wrong_and_certain_softmax_has_the_gradient_of_its_logits():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    model.layers[0].kernel.assign(np.eye(4, 3) * 12)
    x, y = np.eye(4, dtype="float32")[:3], np.array([1, 2, 0])
    fake = FakeQuantization(model, Settings(preserve_sparsity=False, preserve_clusters=False))
    fake.calibrate([x])
    with fake.installed(), tf.GradientTape() as tape:
        loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True)))
    found = tape.gradient(loss, model.layers[0].kernel.value)
    probabilities = np.exp(np.eye(3) * 12) / np.exp(np.eye(3) * 12).sum(-1, keepdims=True)
    assert probabilities.max() > 1 - 1 / 512
    expected = x.T @ (probabilities - np.eye(3)[y]) / 3
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_weights_that_another_callback_restores_at_the_end_are_quantized_too():
    model = dense()
    model.get_layer("hidden").bias.assign(np.linspace(-0.1, 0.1, 16))
    stopping = keras.callbacks.EarlyStopping("loss", mode="max", patience=9, restore_best_weights=True)
    events = []
    last = keras.callbacks.LambdaCallback(on_train_end=lambda logs: events.append(model.get_weights()))
    model.fit(*FEW, epochs=2, verbose=0, callbacks=[tfkit.callback("compressor", "qat", bits=4), stopping, last])
    for layer, before in ((model.get_layer("hidden"), events[0][0]), (model.get_layer("out"), events[0][2])):
        bits = 4 if layer.name == "hidden" else 8
        np.testing.assert_allclose(layer.kernel.numpy(), fake_quantized(before, bits, -1), atol=1e-6)
        assert np.abs(layer.kernel.numpy() - before).max() > 1e-4


def test_statistics_are_those_of_the_quantized_weights():
    keras.utils.set_random_seed(0)
    stack = [layers.Dense(16, name="hidden"), layers.BatchNormalization(name="norm"), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((64,)), *stack])
    stack[2].trainable = False
    still = [each.numpy() for each in stack[2].weights]
    flat = X[:640].reshape(-1, 64)
    fake = FakeQuantization(model, Settings(bits=4, activations=None))
    read_statistics(fake, np.split(flat, 5))
    hidden = np.split(flat @ fake_quantized(stack[0].kernel.numpy(), 4, -1), 5)
    np.testing.assert_allclose(stack[1].moving_mean, np.mean([each.mean(0) for each in hidden], 0), atol=1e-5)
    np.testing.assert_allclose(stack[1].moving_variance, np.mean([each.var(0) for each in hidden], 0), rtol=1e-4)
    assert stack[1].momentum == 0.99
    for one, other in zip(still, stack[2].weights):
        np.testing.assert_array_equal(one, other)
