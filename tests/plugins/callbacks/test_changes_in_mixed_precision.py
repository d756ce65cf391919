"""Mixing, smoothing, R-Drop and stochastic depth in 16 bits, beside the same in float32."""

import keras
import numpy as np
import pytest
from small_fits import made

ROWS = 30_000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4)).astype("float32")
IDS = (X[:, 0] > 0) + (X[:, 1] > 0).astype(int)
CHANGES = {
    "mixup": {"alpha": 1.0},
    "label-smoothing": {"smoothing": 0.3},
    "r-drop": {"alpha": 2.0},
    "stochastic-depth": {"rate": 0.5},
}


def fitted(policy, *callbacks, dropout=0.0):
    """The losses and the weights after steps on many rows: what is drawn for each of them is other in 16 bits."""

    def dense(units, activation, seed):
        start = keras.initializers.GlorotUniform(seed=seed)
        return keras.layers.Dense(units, activation, kernel_initializer=start, dtype=policy)

    inputs = keras.Input((4,))
    first = dense(8, "relu", 1)(inputs)
    added = keras.layers.Add(dtype=policy)([first, dense(8, "tanh", 2)(first)])
    dropped = keras.layers.Dropout(dropout, dtype=policy)(added)
    model = keras.Model(inputs, keras.layers.Softmax(dtype="float32")(dense(3, None, 3)(dropped)))
    optimizer = keras.optimizers.SGD(0.05)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    history = model.fit(X, IDS, 1000, 2, shuffle=False, verbose=0, callbacks=list(callbacks)).history
    return np.array(history["loss"]), np.concatenate([each.numpy().ravel() for each in model.trainable_variables])


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("name", CHANGES)
def test_it_trains_as_in_float32(name):
    dropout = 0.3 if name == "r-drop" else 0.0
    wanted, weights = fitted("float32", made(name, **CHANGES[name]), dropout=dropout)
    plain, plain_weights = fitted("float32", dropout=dropout)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        found, near = fitted(policy, made(name, **CHANGES[name]), dropout=dropout)
        assert np.abs(found - wanted).max() < 0.25 * np.abs(plain - wanted).max()
        assert np.linalg.norm(near - weights) < 0.25 * np.linalg.norm(plain_weights - weights)
