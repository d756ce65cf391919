"""What the tests of shrink share: a small classifier, its data, and which of its units are kept."""

import keras
import numpy as np
from keras import layers

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype("float32")
Y = RNG.integers(0, 3, 48)
DATA = tfkit.Data((X, Y), (X, Y), batch_size=16)


def mlp(units=(8, 8), *, name="net"):
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(count, activation="relu", name=f"hidden{i}") for i, count in enumerate(units)]
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(3, name="out")], name=name)
    for layer in hidden:
        layer.bias.assign(RNG.uniform(0, 0.2, layer.units))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def shrink(model, ratio=0.5, data=DATA, epochs=0, **params):
    return tfkit.create("compressor", "shrink", ratio=ratio, **params).compress(
        model, data, epochs=epochs, directory=None
    )


def kept(model, made, layer="hidden0"):
    """The positions of the columns of a kernel that are still there."""
    before, after = (each.get_layer(layer).kernel.numpy() for each in (model, made.model))
    before = before[: len(after)] if layer == "hidden0" else before
    return [int(np.flatnonzero((before == column[:, None]).all(axis=0))[0]) for column in after.T]


def best(scores, count):
    return sorted(np.argsort(scores)[-count:].tolist())
