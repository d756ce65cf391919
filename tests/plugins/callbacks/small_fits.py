"""One small regression, and fits of it that differ in nothing but their callbacks and how they are compiled."""

import contextlib

import keras
import numpy as np

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype("float32")
Y = (X @ [[1.0], [-2.0], [3.0]]).astype("float32")
WEIGHT = RNG.random(50).astype("float32")


def small_model(strategy=None, dtype=None, **compiled):
    """3 numbers through 4 units to one; penalties in its loss."""

    def dense(units, activation, seed):
        start = keras.initializers.GlorotUniform(seed=seed)
        return keras.layers.Dense(units, activation, kernel_initializer=start, kernel_regularizer="l2", dtype=dtype)

    with strategy.scope() if strategy else contextlib.nullcontext():
        model = keras.Sequential([keras.Input((3,)), dense(4, "tanh", 1), dense(1, None, 2)])
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"], **compiled)
    return model


def fitted(*callbacks, batch_size=20, epochs=2, **built):
    """Its weights as one vector, and its history, after a fit with weights of rows; 50 rows end in a short batch."""
    model = small_model(**built)
    history = model.fit(
        *(X, Y, batch_size, epochs),
        sample_weight=WEIGHT,
        shuffle=False,
        verbose=0,
        validation_data=(X, Y),
        callbacks=list(callbacks),
    ).history
    return np.concatenate([each.ravel() for each in model.get_weights()]), history


def assert_same(one, other, atol=1e-6):
    np.testing.assert_allclose(one[0], other[0], atol=atol, rtol=0)
    for name, values in other[1].items():
        np.testing.assert_allclose(one[1][name], values, atol=10 * atol, rtol=1e-5, err_msg=name)


def made(name, **params):
    return tfkit.create("callback", name, **params)


def assert_trained_alike(one, other):
    """Of two fits, each its list of weights and its history."""
    for ours, theirs in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(one[1]["loss"], other[1]["loss"], atol=1e-6)
