"""One fit that plain Keras gets wrong on several replicas: BatchNormalization, odd batches, the last of one row."""

import contextlib

import keras
import numpy as np

RNG = np.random.default_rng(0)
X = RNG.normal(size=(15, 4)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) > 0).astype("float32")


def model_of(strategy=None, optimizer=None, **compiled):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        layers = [keras.Input((4,)), keras.layers.Dense(5, "tanh", kernel_regularizer="l2")]
        layers += [keras.layers.BatchNormalization(name="norm"), keras.layers.Dense(1, "sigmoid")]
        model = keras.Sequential(layers)
        optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], **compiled)
    return model


def fitted(model, *callbacks, epochs=2):
    """The history of a fit whose batches are of 7, 7 and 1 rows, validated on 11."""
    data = {"validation_data": (X[:11], Y[:11]), "batch_size": 7, "shuffle": False}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), verbose=0, **data).history


def short_fit(strategy=None, *callbacks):
    """A linear model after one epoch of batches of 7, 7 and 1 rows, and the history."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
    return model, model.fit(X, Y, batch_size=7, shuffle=False, callbacks=list(callbacks), verbose=0).history


def assert_same(model, history, other, wanted):
    for found, value in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_allclose(found, value, rtol=0, atol=1e-5)
    assert history.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
