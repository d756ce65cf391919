import dataclasses

import keras
import numpy as np
import pytest
from search_models import make_data
from sklearn.model_selection import ShuffleSplit, StratifiedKFold

import tfkit
from tfkit.pipeline.cross_validated import means

EPOCHS = 3
# All rows in a batch: their order has no say.
DATA = dataclasses.replace(make_data(), batch_size=64)


def build(hp):
    """A model whose training depends on nothing but its rows."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.01])), "mse", run_eagerly=True)
    return model


def searched(directory=None, **options):
    options = {"cross_validation": 3, "searcher": "grid", "trials": 2, "epochs": EPOCHS, **options}
    return tfkit.search(build, DATA, objective="val_loss", directory=directory, **options)


def fitted(rate, train, held_out=None):
    hp = type("", (), {"Choice": lambda self, name, values: rate})()
    model = build(hp)
    told = model.fit(*train, validation_data=held_out, epochs=EPOCHS, batch_size=64, verbose=0)
    return model, told.history


def test_a_score_is_the_mean_over_scikit_learns_folds():
    result = searched()
    x, y = DATA.train
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(x, y))
    for trial, rate in zip(result.trials, (0.1, 0.01)):
        assert trial.values == {"rate": rate}
        losses = np.array([fitted(rate, (x[a], y[a]), (x[b], y[b]))[1]["val_loss"] for a, b in folds])
        np.testing.assert_allclose(trial.history["val_loss"], losses.mean(axis=0), rtol=1e-4)
        np.testing.assert_allclose(trial.history["val_loss_std"], losses.std(axis=0), rtol=1e-3)
        assert trial.score == pytest.approx(losses.mean(axis=0).min(), rel=1e-4)
    weights = fitted(result.best_values["rate"], (x, y))[0].get_weights()
    for mine, theirs in zip(result.best_model.get_weights(), weights):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_a_search_goes_on_over_the_same_folds_alone(tmp_path):
    splitter = ShuffleSplit(2, test_size=0.25, random_state=1)
    first = searched(tmp_path, cross_validation=splitter, trials=1, epochs=1)
    both = searched(tmp_path, cross_validation=splitter, trials=2, epochs=1)
    assert both.trials[:1] == first.trials
    assert not list(tmp_path.glob("*.weights.h5"))
    with pytest.raises(tfkit.SearchError, match="was searched over other folds: go on with its data"):
        searched(tmp_path, cross_validation=None)


def test_what_has_no_folds_is_refused_at_once():
    with pytest.raises(tfkit.ParameterError, match="number of folds >= 2"):
        searched(cross_validation=1)
    with pytest.raises(tfkit.DataError, match="cannot be split by cross_validation=49"):
        searched(cross_validation=49)
    with pytest.raises(tfkit.ParameterError, match=r"Hyperband.* does not go with cross_validation"):
        searched(searcher="hyperband")


@pytest.mark.nightly
def test_a_trial_that_is_given_up_is_scored_over_all_folds(tmp_path):
    """Its first fold's score would not compare with the means of others."""
    rule = {"stop_early": ("asha", {"reduction_factor": 2})}
    whole, given_up = searched(**rule).trials
    assert [len(trial.history["val_loss"]) for trial in (whole, given_up)] == [EPOCHS, 1]
    x, y = DATA.train
    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(x, y)
    losses = [fitted(0.01, (x[a], y[a]), (x[b], y[b]))[1]["val_loss"][0] for a, b in folds]
    assert given_up.score == pytest.approx(np.mean(losses), rel=1e-4)
    assert given_up.history["first_fold/val_loss"] == pytest.approx(losses[:1], rel=1e-4)
    # What an earlier call has seen of the first fold is what trials are compared with.
    searched(tmp_path, **rule, trials=1)
    assert searched(tmp_path, **rule).trials == (whole, given_up)


def test_a_value_that_is_not_finite_in_one_fold_fails_that_epoch_alone():
    first, second = [{"loss": 1.0}, {"loss": 2.0}], [{"loss": 3.0}, {"loss": float("inf")}]
    assert means([first, second], "loss")[0]["loss"] == 2.0
    assert means([first, second], "loss")[1]["loss"] == float("inf")
    assert np.isnan(means([first, [*second[:1], {"loss": float("nan")}]], "loss")[1]["loss"])


def test_the_model_is_the_same_each_time_it_is_made():
    def drawn(hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1])), "mse", run_eagerly=True)
        return model

    found = tfkit.search(drawn, DATA, searcher="grid", objective="val_loss", trials=1, cross_validation=2)
    one, other = (found.load("0000").get_weights() for _ in range(2))
    for mine, theirs in zip(one, other):
        np.testing.assert_array_equal(mine, theirs)
