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
