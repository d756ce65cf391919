import keras
import numpy as np
import pytest
from keras import layers

import tfkit

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 6)).astype("float32"), RNG.normal(size=(64, 3)).astype("float32")
DATA = tfkit.Data((X, Y), batch_size=8)


def model(optimizer="sgd", **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5, name="hidden"), layers.Dense(3, name="out")])
    for layer in model.layers:
        layer.kernel.assign(3 * layer.kernel)
        layer.bias.assign(layer.bias + 9)
    model.compile(optimizer, "mse", **compiled)
    return model


def test_weights_go_to_the_bound_and_biases_stay():
    made, before = model(), model()
    notes = tfkit.create("compressor", "clip", value=0.7).compress(made, DATA, epochs=0, directory=None).notes
    beyond = 0
    for layer, old in zip(made.layers, before.layers):
        np.testing.assert_array_equal(layer.kernel, np.clip(old.kernel, -0.7, 0.7))
        np.testing.assert_array_equal(layer.bias, old.bias)
        beyond += int((np.abs(old.kernel) > 0.7).sum())
    assert notes == (f"{beyond} of 45 weights were clipped",)


def test_a_bound_in_standard_deviations_is_one_for_each_kernel():
    made, before = model(), model()
    clip = tfkit.create("compressor", "clip", value=1.5, unit="std", exclude=("out",))
    clip.compress(made, DATA, epochs=0, directory=None)
    old = before.layers[0].kernel.numpy()
    np.testing.assert_allclose(made.layers[0].kernel, np.clip(old, -1.5 * old.std(), 1.5 * old.std()), rtol=1e-6)
    np.testing.assert_array_equal(made.layers[1].kernel, before.layers[1].kernel)


@pytest.mark.parametrize(
    ("optimizer", "compiled"),
    [
        ("sgd", {}),
        ("sgd", {"steps_per_execution": 4, "jit_compile": True}),
        (keras.optimizers.SGD(0.1, use_ema=True), {}),
    ],
    ids=["graph", "jit", "ema"],
)
def test_a_fit_keeps_weights_within_the_bound_and_the_callback_leaves_nothing(optimizer, compiled):
    made = model(optimizer, **compiled)
    made.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[tfkit.callback("compressor", "clip", value=0.3)])
    largest = [float(np.abs(layer.kernel).max()) for layer in made.layers]
    assert max(largest) <= np.float32(0.3)
    assert max(largest) > 0.29
    assert all(layer.kernel.constraint is None for layer in made.layers)


def test_it_works_beside_pruning():
    made = model()
    both = [
        tfkit.callback("compressor", "prune", sparsity=0.5, exclude=("out",)),
        tfkit.callback("compressor", "clip", value=0.3),
    ]
    made.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=both)
    kernel = made.layers[0].kernel.numpy()
    assert np.mean(kernel == 0) == 0.5
    assert np.abs(kernel).max() <= np.float32(0.3)


@pytest.mark.parametrize("params", [{"value": 0}, {}, {"value": 1.0, "unit": "percent"}])
def test_wrong_parameters_are_refused(params):
    with pytest.raises(tfkit.ParameterError, match="compressor 'clip'"):
        tfkit.create("compressor", "clip", **params)
