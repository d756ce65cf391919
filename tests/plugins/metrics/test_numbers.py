"""Metrics of numbers against scikit-learn and scipy: shapes, weights, batches."""

import keras
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st
from random_tasks import measured, quick

import tfkit

ERRORS = {
    "mae": sk.mean_absolute_error,
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "r2": sk.r2_score,
}
CORRELATIONS = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}


def create(name, /, **params):
    return tfkit.create("metric", name, dtype="float64", **params)


@st.composite
def tasks(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, outputs = draw(st.integers(3, 30)), draw(st.integers(1, 3))
    actual = rng.normal(size=(rows, outputs)) * draw(st.sampled_from([1e-3, 1.0, 1e4]))
    predicted = actual + rng.normal(size=actual.shape) * actual.std()
    if draw(st.booleans()):
        actual, predicted = np.round(actual / actual.std()), np.round(predicted / actual.std())
        actual[0] += 1  # never constant
        predicted[0] += 1
    actual, predicted = actual + draw(st.sampled_from([0.0, 1e6])), predicted + draw(st.sampled_from([0.0, 1e6]))
    weights = rng.choice([0.0, 0.25, 1.0, 3.7], rows)
    weights[:3] = 1.0
    return actual, predicted, weights, sorted(draw(st.lists(st.integers(1, rows), max_size=3)))


@pytest.mark.parametrize("name", ERRORS)
@given(task=tasks(), weighted=st.booleans(), flat=st.booleans())
@quick
def test_errors_equal_scikit_learn(name, task, weighted, flat):
    actual, predicted, weights, cuts = task
    weights = weights if weighted else None
    if flat:
        actual, predicted = actual[:, 0], predicted[:, :1]
    found = measured(create(name), actual, predicted, weights, cuts)
    np.testing.assert_allclose(found, ERRORS[name](actual, predicted, sample_weight=weights), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", CORRELATIONS)
@given(task=tasks())
@quick
def test_correlations_equal_scipy(name, task):
    actual, predicted, _, cuts = task
    if any(len(set(column)) < 2 for column in (*actual.T, *predicted.T)):
        return
    found = measured(create(name), actual, predicted, None, cuts)
    wanted = np.mean([CORRELATIONS[name](x, y).statistic for x, y in zip(actual.T, predicted.T)])
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("name", CORRELATIONS)
def test_correlations_take_no_sample_weight(name):
    with pytest.raises(tfkit.DataError, match=f"metric '{name}' takes no sample_weight"):
        create(name).update_state([1.0, 2.0], [1.0, 2.0], [1.0, 1.0])
    data = (np.ones((2, 1)), np.ones(2), np.ones(2))
    with pytest.raises(tfkit.DataError, match=f"metric '{name}' takes no sample_weight"):
        tfkit.evaluate(lambda x: x, data, [name])


def test_far_from_zero_nothing_is_lost():
    """Sums of squares would lose all figures: the variance is 1e-18 of the square of the mean."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 500))
    actual, predicted = 1e9 + noise[0], 1e9 + noise[0] + noise[1]
    for name, wanted in (("r2", sk.r2_score), ("pearson", lambda x, y: scipy.stats.pearsonr(x - 1e9, y - 1e9)[0])):
        metric = create(name)
        for part in range(0, 500, 7):
            metric.update_state(actual[part : part + 7], predicted[part : part + 7])
        assert float(metric.result()) == pytest.approx(wanted(actual, predicted), abs=1e-6)


def test_constants():
    for constant in (0.1, 1e6 / 3, 2.0):
        labels = np.full(7, constant)
        for predicted, wanted in ((labels, 1.0), (labels + 1, 0.0)):
            metric = create("r2")
            for part in (slice(0, 2), slice(2, 7)):
                metric.update_state(labels[part], predicted[part])
            assert float(metric.result()) == wanted
            # scikit-learn takes what rounding leaves of the variance of 0.1 for a variance.
            assert constant != 2 or sk.r2_score(labels, predicted) == wanted
        for name in CORRELATIONS:
            assert np.isnan(create(name)(labels, np.arange(7.0)))
            assert np.isnan(create(name)(np.arange(7.0), labels))
    for name in ("r2", *CORRELATIONS):
        assert np.isnan(create(name)([1.0], [2.0]))
        assert np.isnan(create(name).result())
    assert [float(create(name).result()) for name in ("mae", "mse", "rmse")] == [0.0] * 3


@pytest.mark.parametrize("name", [*ERRORS, *CORRELATIONS])
def test_a_nan_shows_and_masked_steps_are_left_out(name):
    actual, predicted = np.array([[1.0, 2.0, 9.0], [0.0, 4.0, 1.0]]), np.array([[1.5, 3.0, np.nan], [1.0, 3.0, 2.0]])
    assert np.isnan(create(name)(actual.ravel(), predicted.ravel()))

    class Masked(np.ndarray):
        _keras_mask = np.array([[True, True, False], [True, True, True]])

    seen = ~np.isnan(predicted)
    found = create(name)(actual[..., None], predicted[..., None].view(Masked))
    np.testing.assert_allclose(found, create(name)(actual[seen], predicted[seen]), rtol=1e-12)


@pytest.mark.parametrize(
    ("labels", "predicted", "text"),
    [
        ([1.0, 2.0, 3.0], [[1.0], [2.0]], "give as many numbers as predictions"),
        ([[1.0, 2.0]], [[1.0]], "give as many numbers as predictions"),
        (["a"], [1.0], "are strings"),
        (1.0, [1.0], "need a first axis"),
    ],
)
def test_bad_batches_are_refused(labels, predicted, text):
    with pytest.raises(tfkit.DataError, match=text):
        create("mae").update_state(labels, predicted)


def test_in_a_model():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 1)).astype("float32")
    y = x[:, 0] + rng.normal(size=50).astype("float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Activation("linear")])
    model.compile("sgd", "mse", metrics=[create(name) for name in ("mse", "r2", *CORRELATIONS)])
    logs = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
    wanted = {"mse": ERRORS["mse"](y, x), "r2": ERRORS["r2"](y, x)}
    wanted |= {name: function(y, x[:, 0]).statistic for name, function in CORRELATIONS.items()}
    assert {name: logs[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
