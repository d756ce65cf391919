"""Scaled dropout: what a layer computes in training, not what its attribute says."""

import keras
import numpy as np
import pytest
from keras import layers

from tfkit.attach.dropout import scaled_dropout


def nested():
    inner = keras.Sequential([keras.Input((6, 4)), layers.SpatialDropout1D(0.5)])
    inputs = keras.Input((6, 4))
    x = layers.GRU(4, dropout=0.5, recurrent_dropout=0.5, return_sequences=True)(inner(inputs))
    x = layers.MultiHeadAttention(2, 2, dropout=0.5)(x, x)
    return keras.Model(inputs, layers.GaussianDropout(0.5)(layers.AlphaDropout(0.5)(layers.Dropout(0.5)(x))))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0])
def test_a_layer_drops_so_many(factor):
    model = keras.Sequential([keras.Input((20_000,)), layers.Dropout(0.6)])
    with scaled_dropout(model, factor):
        dropped = np.mean(np.asarray(model(np.ones((1, 20_000)), training=True)) == 0)
    assert dropped == pytest.approx(0.6 * factor, abs=0.02)
    assert np.mean(np.asarray(model(np.ones((1, 20_000)), training=True)) == 0) == pytest.approx(0.6, abs=0.02)


def test_nothing_is_dropped_anywhere_at_zero_and_all_is_put_back():
    model = nested()
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
    config = model.get_config()
    with scaled_dropout(model, 0.0):
        np.testing.assert_allclose(model(x, training=True), model(x, training=False), atol=1e-6)
    assert model.get_config() == config
    with pytest.raises(ValueError, match="incompatible"), scaled_dropout(model, 0.0):
        model(x[0])
    assert model.get_config() == config
    assert np.abs(np.asarray(model(x, training=True)) - np.asarray(model(x, training=False))).max() > 0.01
