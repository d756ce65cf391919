import keras
import numpy as np
import pytest
import tensorflow as tf

import tfkit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = (X @ [[1.0], [-2.0], [3.0], [0.5]]).astype("float32")


def regression(learning_rate=0.01, **compiled):
    start = keras.initializers.GlorotUniform(seed=1)
    inner = [keras.layers.Dense(8, "relu", kernel_initializer=start), keras.layers.Dropout(0.2, seed=3)]
    last = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=2))
    model = keras.Sequential([keras.Input((4,)), *inner, keras.layers.BatchNormalization(), last])
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"], **compiled)
    return model


def trained(model):
    model.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    return [each.numpy() for each in (*model.variables, *model.optimizer.variables)]


def test_a_least_squares_fit_takes_rates_up_to_twice_the_inverse_of_its_curvature():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    found = tfkit.find_learning_rate(model, tfkit.Data((X, Y), batch_size=40), low=1e-3, high=1e4, steps=80)
    curvature = np.linalg.eigvalsh(2 * X.T @ X / 40).max()
    assert 0.01 < found.suggested < 2 / curvature
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < 80
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e7) / 79, rtol=1e-6)
    weights = np.zeros((4, 1))
    for rate, loss in zip(found.rates[:30], found.losses):
        errors = X @ weights - Y
        assert loss == pytest.approx(np.mean(errors**2), rel=1e-3)
        weights -= rate * 2 * X.T @ errors / 40


@pytest.mark.parametrize(
    "compiled", [pytest.param({}, marks=pytest.mark.nightly), {"steps_per_execution": 4}], ids=["spe-1", "spe-4"]
)
def test_the_model_is_left_as_it_was(compiled):
    wanted = trained(regression(**compiled))
    model = regression(**compiled)
    tfkit.find_learning_rate(model, tfkit.Data((X, Y), batch_size=40), steps=40)
    assert int(model.optimizer.iterations) == 0
    assert model.steps_per_execution == compiled.get("steps_per_execution", 1)
    for one, other in zip(trained(model), wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.nightly
def test_a_trained_model_goes_on_as_if_nothing_had_been():
    alone, other = regression(), regression()
    trained(alone), trained(other)
    history = other.history
    tfkit.find_learning_rate(other, tfkit.Data((X, Y), batch_size=40), steps=40)
    assert other.history is history
    for one, two in zip(trained(other), trained(alone), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_loss_that_is_not_finite_ends_it():
    def loss(true, predicted):
        return tf.where(tf.reduce_sum(tf.abs(predicted)) > 50.0, float("inf"), tf.reduce_mean((true - predicted) ** 2))

    model = regression()
    model.compile(keras.optimizers.SGD(0.1), loss)
    found = tfkit.find_learning_rate(model, tfkit.Data((X, Y), batch_size=40), high=1e4, steps=60)
    assert len(found.rates) < 60
    assert np.isfinite(found.losses).all()
    assert all(np.isfinite(each.numpy()).all() for each in model.weights)


@pytest.mark.parametrize(
    ("params", "told"),
    [({"low": 0.0}, "got low=0.0"), ({"low": 1.0, "high": 0.1}, "0 < low < high"), ({"steps": 3}, "steps=3")],
    ids=str,
)
def test_rates_that_do_not_rise_are_refused(params, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        tfkit.find_learning_rate(regression(), (X, Y), **params)


def test_a_loss_that_only_grows_is_told():
    one = np.ones((4, 1), "float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    with pytest.raises(tfkit.ModelError, match="the loss falls at no learning rate: it was 0 at 1e-06"):
        tfkit.find_learning_rate(model, (one, one))
    model.compile("sgd", lambda true, predicted: predicted * float("nan"))
    with pytest.raises(tfkit.ModelError, match="it is not finite"):
        tfkit.find_learning_rate(model, (one, one))
    with pytest.raises(tfkit.ModelError, match="not compiled"):
        tfkit.find_learning_rate(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), (one, one))


def test_where_gradients_are_accumulated_the_rates_are_those_of_the_updates():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(gradient_accumulation_steps=4), "mse")
    found = tfkit.find_learning_rate(model, tfkit.Data((X, Y), batch_size=40), low=1e-3, high=1e4, steps=80)
    np.testing.assert_allclose(found.rates[::4], 1e-3 * np.exp(np.arange(0, len(found.rates), 4) * np.log(1e7) / 79))
    weights, summed = np.zeros((4, 1)), 0.0
    for batch, (rate, loss) in enumerate(zip(found.rates[:40], found.losses), start=1):
        errors = X @ weights - Y
        assert loss == pytest.approx(np.mean(errors**2), rel=1e-3)
        summed = summed + 2 * X.T @ errors / 40 / 4
        if batch % 4 == 0:
            weights, summed = weights - rate * summed, 0.0
