"""What the tests of attach share: a small regression, callbacks for it, and all that they could leave on it."""

import json

import keras
import numpy as np

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def regression(kernel_regularizer=None, *, optimizer=None, **compiled):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(3, activation="relu", name="hidden", kernel_regularizer=kernel_regularizer),
        keras.layers.Dense(1, name="out", kernel_regularizer=kernel_regularizer),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer or keras.optimizers.SGD(0.05, momentum=0.9), "mse", **compiled)
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, callbacks=(), epochs=2, **more):
    return model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, epochs=epochs, callbacks=list(callbacks), **more)


def l2(**params):
    return tfkit.callback("regularizer", "l2", **{"l2": 0.1, **params})


def cosine():
    return tfkit.callback("schedule", "cosine", initial=0.1, steps=100)


# What Keras itself sets in a fit.
KERAS_OWN = {"history", "stop_training", "stop_evaluating", "_eval_epoch_iterator", "_initial_epoch"}


def on_it(model):
    """Everything a callback could leave on a model: attributes, and what hangs on variables and the optimizer."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return {
        "rate": id(optimizer._learning_rate),
        "optimizer": sorted(vars(optimizer)),
        "model": sorted(vars(model).keys() - KERAS_OWN),
        "variables": [(id(v), v.regularizer, v.constraint) for v in model.variables],
        "config": json.dumps(optimizer.get_config(), default=str),
        "compiled": json.dumps(model.get_compile_config(), default=str),
        "train_function": getattr(model.train_function, "guard", None),
        "test_function": getattr(model.test_function, "guard", None),
    }
