"""What the tests of prune share: a small classifier, its data, and a fit with the callback."""

import keras
import numpy as np
import pytest

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 16)).astype("float32")
Y = RNG.integers(0, 5, 96)
STEPS = 12  # of 8 rows, in an epoch
DATA = tfkit.Data((X, Y), batch_size=8)


def mlp(optimizer="adam", *, dtype=None, constraint=None, **compiled):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(20, activation="relu", name="hidden", dtype=dtype, kernel_constraint=constraint)
    model = keras.Sequential(
        [keras.Input((16,), name="x"), hidden, keras.layers.Dense(5, name="out", dtype=dtype)], name="net"
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **{"jit_compile": False, **compiled})
    return model


def prune(sparsity=0.8, **params):
    return tfkit.callback("compressor", "prune", sparsity=sparsity, **{"frequency": 4, **params})


def fit(model, *callbacks, epochs=2, **more):
    return model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **more)


def zeros(model):
    return [int((layer.kernel.numpy() == 0).sum()) for layer in model.layers if hasattr(layer, "kernel")]


def refused(error, match, call, *args, **kwargs):
    with pytest.raises(error, match=match) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
