"""A copy by config and weights that computes something else, without a word."""

import keras
import numpy as np
import pytest
from keras import layers

import tfkit
from tfkit_compressors.shrinking.shrink import Shrink

X = np.random.default_rng(0).normal(5, 3, size=(32, 4)).astype("float32")
DATA = tfkit.Data((X, np.zeros((32, 2))))


def adapted():
    keras.utils.set_random_seed(0)
    scale = layers.Normalization(name="scale")
    scale.adapt(X)
    model = keras.Sequential([keras.Input((4,)), scale, layers.Dense(8, name="hidden"), layers.Dense(2)])
    model.get_layer("hidden").kernel.assign(model.get_layer("hidden").kernel * ([1.0] * 4 + [0.0] * 4))
    return model


def test_an_adapted_normalization_copied_by_config_and_weights_forgets_its_statistics():
    model = adapted()
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    assert np.abs(copy(X) - model(X)).max() > 1  # upstream: weights are equal, outputs are not
    made = Shrink(0.5).compress(model, DATA, epochs=0, directory=None).model
    assert made.get_layer("hidden").units == 4
    np.testing.assert_allclose(made(X), model(X), atol=1e-5)


class Counter(layers.Layer):
    """State that neither its config nor its weights hold."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.offset = 0.0

    def call(self, x):
        return x + self.offset


def test_state_that_cannot_be_copied_is_refused():
    hidden = Counter(name="hidden_state")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Dense(4), hidden, layers.Dense(2)])
    hidden.offset = 100.0
    before = model.get_weights()
    with pytest.raises(tfkit.VerificationError, match="does not compute what its source computes without the channels"):
        Shrink(0.5).compress(model, DATA, epochs=0, directory=None)
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)
