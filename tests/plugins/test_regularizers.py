"""Regularizers: their values by the definition, and their way into a model and back from a file."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfkit

factors = st.floats(0, 100, allow_subnormal=False)


@given(seed=st.integers(0, 1000), l1=factors, l2=factors)
@settings(max_examples=40, deadline=None)
def test_penalties_follow_their_definition(seed, l1, l2):
    weights = np.random.default_rng(seed).normal(size=(5, 3)).astype("float32")
    absolute, square = np.abs(weights.astype("float64")).sum(), np.square(weights.astype("float64")).sum()
    for part, wanted in (
        (tfkit.create("regularizer", "l1", l1=l1), l1 * absolute),
        (tfkit.create("regularizer", "l2", l2=l2), l2 * square),
        (tfkit.create("regularizer", "elastic-net", l1=l1, l2=l2), l1 * absolute + l2 * square),
    ):
        assert isinstance(part, keras.regularizers.Regularizer)
        np.testing.assert_allclose(float(part(weights)), wanted, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize(
    ("name", "params"), [("l1", {"l1": 1e-3}), ("l2", {"l2": 1e-3}), ("elastic-net", {"l1": 1e-3, "l2": 0.3})]
)
def test_config_keeps_the_factors_and_is_keras_own(name, params):
    part = tfkit.create("regularizer", name, **params)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(part)))
    # So it loads where tfkit is not installed.
    assert config["module"] == "keras.regularizers"
    assert config["registered_name"] is None
    loaded = keras.saving.deserialize_keras_object(config).get_config()
    assert {key: loaded[key] for key in params} == params


def test_a_model_saved_with_one_loads(tmp_path):
    part = tfkit.create("regularizer", "elastic-net", l1=0.01, l2=0.1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_regularizer=part)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    kernel = model.layers[0].kernel.numpy().astype("float64")
    wanted = 0.01 * np.abs(kernel).sum() + 0.1 * np.square(kernel).sum()
    np.testing.assert_allclose(float(loaded.losses[0]), wanted, rtol=1e-5)


def test_the_callback_takes_where_and_exclude():
    callback = tfkit.callback("regularizer", "l1", l1=1e-3, where="bias", exclude=("Dense",))
    assert (callback.where, callback.exclude, callback.part.get_config()["l1"]) == ("bias", ("Dense",), 1e-3)


@pytest.mark.parametrize(
    ("name", "params", "text"),
    [
        ("l1", {}, "regularizer 'l1' needs 'l1' (a float >= 0"),
        ("l2", {"l2": -0.1}, "the parameter 'l2' of regularizer 'l2' must be a float >= 0"),
        ("l2", {"l2": float("inf")}, "the parameter 'l2' of regularizer 'l2' must be a float >= 0"),
        ("elastic-net", {"l1": 0.1}, "needs 'l2'"),
        ("l1", {"l1": 0.1, "where": 3}, "the parameter 'where' of the callback of regularizer 'l1' must be a string"),
    ],
)
def test_bad_parameters_are_refused(name, params, text):
    with pytest.raises(tfkit.ParameterError) as error:
        tfkit.callback("regularizer", name, **params)
    assert text in str(error.value)


def kernel(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.abs(unit @ unit.T)[np.triu_indices(len(vectors), 1)]


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 2, 8), (5, 7, 3)])
def test_orthogonal_is_the_mean_cosine_of_units(shape):
    weights = kernel(shape)
    matrix = weights.reshape(-1, shape[-1])
    vectors = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    found = float(tfkit.create("regularizer", "orthogonal", factor=0.3)(weights))
    assert found == pytest.approx(0.3 * cosines(vectors).mean(), rel=1e-5)
    mode = "rows" if matrix.shape[0] <= matrix.shape[1] else "columns"
    assert found == pytest.approx(
        float(keras.regularizers.OrthogonalRegularizer(0.3, mode)(keras.ops.array(matrix))), rel=1e-5
    )


def test_orthogonal_of_a_single_unit_and_of_a_bias_is_nothing():
    part = tfkit.create("regularizer", "orthogonal", factor=1.0)
    assert float(part(kernel((5, 1)))) == float(part(kernel((5,)))) == 0


@pytest.mark.nightly
def test_a_fit_with_orthogonal_turns_filters_apart():
    x, y = kernel((64, 8, 8, 1)), kernel((64, 4), 1)
    made = {}
    for factor in (0.0, 2.0):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()]
        model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        model.compile(keras.optimizers.SGD(0.01), "mse")
        part = tfkit.callback("regularizer", "orthogonal", factor=factor)
        model.fit(x, y, epochs=40, verbose=0, callbacks=[part])
        made[factor] = cosines(model.layers[0].kernel.numpy().reshape(9, 4).T).mean()
    assert made[2.0] < made[0.0] / 2


def regression(optimizer):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    return model


X, Y = kernel((32, 6)), kernel((32, 6)) @ np.array([[2.0], [0.0], [0.0], [-1.0], [0.0], [0.05]], "float32")


def thresholded(rates, l1, batches=1):
    """The iterative shrinkage-thresholding algorithm in numpy, a step for each rate."""
    weights, summed = np.ones((6, 1)), 0.0
    for step, rate in enumerate(rates, start=1):
        summed = summed + 2 / 32 * X.T @ (X @ weights - Y)
        if step % batches == 0:
            weights, summed = weights - rate * summed / batches, 0.0
            weights = np.sign(weights) * np.maximum(np.abs(weights) - rate * l1, 0)
    return weights


@pytest.mark.parametrize("eager", [False, True])
def test_proximal_l1_is_iterative_shrinkage_by_the_rate_of_each_step(eager):
    rate = tfkit.create("schedule", "exponential", initial=0.3, gamma=0.9)
    model = regression(keras.optimizers.SGD(rate))
    model.run_eagerly = eager
    part = tfkit.callback("regularizer", "proximal-l1", l1=0.4)
    model.fit(X, Y, epochs=12, batch_size=32, verbose=0, callbacks=[part])
    wanted = thresholded([0.3 * 0.9**step for step in range(12)], 0.4)
    np.testing.assert_allclose(model.get_weights()[0], wanted, atol=1e-6)
    assert 0 < (model.get_weights()[0] == 0).sum() < 6
    assert model.layers[0].kernel.constraint is None


def test_proximal_l1_counts_updates_and_not_batches():
    model = regression(keras.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    part = tfkit.callback("regularizer", "proximal-l1", l1=0.4)
    model.fit(X, Y, epochs=12, batch_size=32, verbose=0, callbacks=[part])
    np.testing.assert_allclose(model.get_weights()[0], thresholded([0.1] * 12, 0.4, batches=3), atol=1e-6)


def test_proximal_l1_as_a_layers_constraint_needs_a_rate():
    part = tfkit.create("regularizer", "proximal-l1", l1=0.4)
    with pytest.raises(tfkit.ModelError, match="does not know the learning rate here: pass learning_rate="):
        part(kernel((2, 2)))
    model = regression(keras.optimizers.SGD(0.1))
    model.layers[0].kernel.constraint = tfkit.create("regularizer", "proximal-l1", l1=0.4, learning_rate=0.1)
    model.fit(X, Y, epochs=12, batch_size=32, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], thresholded([0.1] * 12, 0.4), atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 4), (3, 3, 2, 8), (9,)])
def test_max_norm_is_keras_over_all_axes_but_the_last(shape):
    weights = kernel(shape)
    axes = list(range(len(shape) - 1)) or [0]
    found = np.asarray(tfkit.create("regularizer", "max-norm", value=0.8)(weights))
    np.testing.assert_allclose(found, keras.constraints.MaxNorm(0.8, axis=axes)(weights), rtol=1e-5)
    assert not np.allclose(found, weights)


def test_clip_bounds_each_weight_or_the_whole_variable():
    weights = kernel((6, 4))
    by_value = tfkit.create("regularizer", "clip", value=0.5)(weights)
    np.testing.assert_array_equal(by_value, np.clip(weights, -0.5, 0.5))
    by_norm = np.asarray(tfkit.create("regularizer", "clip", norm=2.0)(weights))
    np.testing.assert_allclose(by_norm, weights * 2 / np.linalg.norm(weights), rtol=1e-6)
    np.testing.assert_array_equal(tfkit.create("regularizer", "clip", norm=100.0)(weights), weights)
    with pytest.raises(tfkit.ParameterError, match=r"needs value= .* or norm="):
        tfkit.create("regularizer", "clip")


@pytest.mark.parametrize("shape", [(6, 4), (3, 3, 5, 8), (300, 200), (150, 400)])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_spectral_divides_by_the_largest_singular_value(shape, scale):
    weights = scale * kernel(shape)
    found = np.asarray(tfkit.create("regularizer", "spectral")(weights))
    values = np.linalg.svd(weights.reshape(-1, shape[-1]).astype("float64"), compute_uv=False)
    np.testing.assert_allclose(found, weights / values[0], rtol=1e-5 if min(shape[-1], 128) < 128 else 2e-3)


@pytest.mark.parametrize(
    ("name", "params"),
    [("max-norm", {"value": 0.3}), ("clip", {"value": 0.1}), ("clip", {"norm": 0.5}), ("spectral", {})],
)
@pytest.mark.parametrize("jit", [False, True])
def test_a_bound_holds_after_a_fit_and_saves_with_the_model(name, params, jit, tmp_path):
    part = tfkit.create("regularizer", name, **params)
    layers = [keras.layers.Conv1D(4, 3, kernel_constraint=part), keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((6, 1)), *layers])
    model.compile("adam", "mse", jit_compile=jit)
    model.fit(X[..., None], Y, epochs=2, verbose=0, callbacks=[tfkit.callback("regularizer", name, **params)])
    for weights in (layers[0].kernel.numpy(), layers[2].kernel.numpy()):
        np.testing.assert_allclose(part(weights), weights, rtol=1e-4, atol=1e-7)
    model.save(tmp_path / "model.keras")
    loaded = tfkit.load_model(tmp_path / "model.keras").layers[0].kernel_constraint
    assert (type(loaded), loaded.get_config()) == (type(part), part.get_config())
