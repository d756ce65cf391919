"""What the tests of search share: two models, their data, and a search of each."""

import keras
import numpy as np

import tfkit


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int32")
    return tfkit.Data((x[:48], y[:48]), (x[48:], y[48:]), batch_size=16)


def build(hp):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 32), activation="tanh")])
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    optimizer = keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log"))
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def search(directory, **options):
    options = {"objective": "val_loss", "trials": 5, "epochs": 2, **options}
    return tfkit.search(build, make_data(), directory=directory, **options)


def cheap(hp):
    """The smallest model there is; no units to tell builds apart by shape."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1.0, sampling="log")), "mse", run_eagerly=True)
    return model


def cheap_search(build=cheap, data=None, **options):
    options = {"objective": "val_loss", "trials": 2, **options}
    return tfkit.search(build, make_data() if data is None else data, **options)
