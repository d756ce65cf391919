"""qat and distill in one fit: in any order each takes off only its own, and "source" goes on teaching."""

import keras
import numpy as np
import pytest
from keras import layers
from qat_models import SOFT, X, Y, dense, fake_quantized

import tfkit
from tfkit_compressors.distillation.taps import Taps
from tfkit_compressors.distillation.teachers import Teacher
from tfkit_compressors.qat.fake import FakeQuantization
from tfkit_compressors.schemas import Qat as Settings

FLAT = X[:256].reshape(-1, 64), Y[:256]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_features_and_qat_leave_nothing_in_any_order(order):
    model, teacher = dense(), dense(units=24)
    before = [set(vars(each)) for each in (model, *model.layers, teacher, *teacher.layers)]
    callbacks = [
        tfkit.callback("compressor", "qat"),
        tfkit.callback("compressor", "distill", teacher=teacher, features=[("hidden", "hidden")]),
    ]
    history = model.fit(*FLAT, verbose=0, callbacks=[callbacks[each] for each in order]).history
    assert history["feature_loss"][0] > 0
    after = [set(vars(each)) for each in (model, *model.layers, teacher, *teacher.layers)]
    assert [late - early for late, early in zip(after[1:], before[1:])] == [set()] * (len(after) - 1)
    assert not {"call", "compute_loss", "train_step"} & after[0]
    kernel = model.get_layer("hidden").kernel.numpy()
    np.testing.assert_allclose(kernel, fake_quantized(kernel, 8, -1), atol=1e-6)
    expected = keras.ops.relu(FLAT[0] @ kernel + model.get_layer("hidden").bias)
    np.testing.assert_allclose(model.get_layer("hidden")(FLAT[0]), expected, atol=1e-6)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_tap_sees_what_the_quantized_layer_gives(order):
    inputs = keras.Input((8, 8))
    x = layers.MultiHeadAttention(2, 4, name="attention")(inputs, inputs)
    x = layers.Dense(4, activation="swish", name="swish")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    fake = FakeQuantization(model, Settings())
    fake.calibrate([X[:64, ..., 0]])
    whole = keras.Model(model.input, [model.get_layer(name).output for name in ("attention", "swish")])
    with fake.installed():
        expected = whole(X[:64, ..., 0])
    taps = Taps(model, ["attention", "swish"])
    on = [(fake.install, taps.__enter__), (fake.remove, taps.__exit__)]
    for each in order:
        on[0][each]()
    model(X[:64, ..., 0])
    seen = taps.outputs()
    for each in order:
        on[1][each]()
    # The float kernels of `whole` are the model's own: only what is rounded differs.
    for one, other in zip(seen, expected):
        np.testing.assert_allclose(one, other, atol=0.05)
        assert len(np.unique(one)) <= 256
    assert not any("call" in vars(layer) for layer in (model, *model.layers))


def test_the_source_answers_in_float_with_the_weights_of_the_beginning():
    model = dense()
    before = model(FLAT[0]).numpy()
    fake = FakeQuantization(model, Settings(bits=4, activations=None))
    with fake.installed():
        quantized = model(FLAT[0]).numpy()
        teacher = Teacher.as_it_is(model)
        model.get_layer("hidden").kernel.assign_add(np.full((64, 16), 0.1))
        assert np.abs(model(FLAT[0]).numpy() - quantized).max() > 0.1
        np.testing.assert_allclose(teacher(FLAT[0])[0], before, atol=1e-6)
        assert np.abs(quantized - before).max() > 0.01


def test_values_from_outside_are_quantized_too():
    model = dense()
    given = [np.roll(weight.numpy(), 1, 0) for weight in model.weights]
    twin = dense()
    twin.set_weights(given)
    with FakeQuantization(twin, Settings(activations=None)).installed():
        expected = twin(FLAT[0])
    with FakeQuantization(model, Settings(activations=None)).installed():
        found, _ = model.stateless_call(given, [], FLAT[0])
        assert np.abs(model(FLAT[0]).numpy() - expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_source_has_something_to_teach():
    model = dense()
    callbacks = [
        tfkit.callback("compressor", "qat"),
        tfkit.callback("compressor", "distill", teacher="source", alpha=0.5),
    ]
    history = model.fit(*FLAT, epochs=3, batch_size=32, verbose=0, callbacks=callbacks).history
    assert history["distillation_loss"][-1] > 1e-3
    assert model.loss == SOFT
