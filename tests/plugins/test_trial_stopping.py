import copy

import keras
import keras_tuner
import numpy as np
import pytest

import tfkit

X = np.ones((2, 1))


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.0), "mse")
    return made


def epochs_run(model, curves, rule):
    """Epochs that each curve gets, one after another, with a copy of the callback for each, as tuners make them."""
    return [fit(model, [{"val_score": value} for value in values], copy.deepcopy(rule)) for values in curves]


def fit(model, epochs, rule):
    """What `model.fit` does with a callback, for given logs of each epoch; returns the epochs that were run."""
    model.stop_training = False
    rule.set_model(model)
    rule.on_train_begin()
    for epoch, logs in enumerate(epochs):
        rule.on_epoch_end(epoch, logs)
        if model.stop_training:
            assert rule.stopped_epoch == epoch
            return epoch + 1
    assert rule.stopped_epoch is None
    return len(epochs)


def test_asha_lets_one_in_so_many_go_on_at_each_rung(model):
    rule = tfkit.create("callback", "asha", monitor="val_score", mode="max", reduction_factor=2)
    curves = [
        [0.5, 0.5, 0.5, 0.5, 0.5],  # the first is the best so far at every rung
        [0.4, 0.9, 0.9, 0.9, 0.9],  # second of two at epoch 1, where one goes on
        [0.6, 0.4, 0.9, 0.9, 0.9],  # best of three; its .6 still counts at epoch 2, and .9 at epoch 4
        [0.55, 0.57, 0.7, 0.7, 0.9],  # second of four, two go on; second of three at epoch 2, where one does
    ]
    assert epochs_run(model, curves, rule) == [5, 1, 5, 2]


def test_the_first_rung_is_at_min_epochs_and_the_others_at_multiples(model):
    rule = tfkit.create("callback", "asha", monitor="val_score", mode="min", min_epochs=2, reduction_factor=3)
    worse = [9.0 + epoch for epoch in range(8)]
    late = [0.5, 0.5, 0.5, 0.5, 0.5, 9.0, 9.0, 9.0]
    assert epochs_run(model, [[1.0] * 8, worse, late], rule) == [8, 2, 8]
    # The last is second of six at two epochs, where two go on, and second of four at six, where one does.
    assert epochs_run(model, [[0.4] * 8, [0.45] * 8, [0.45] * 8], rule) == [8, 2, 6]


def test_a_value_that_is_not_finite_is_the_worst(model):
    rule = tfkit.create("callback", "asha", monitor="val_score", mode="max", reduction_factor=2)
    assert epochs_run(model, [[0.1, 0.1], [np.nan, 0.5], [np.inf, 0.5], [0.1, 0.1]], rule) == [2, 1, 1, 2]


def test_median_stopping_compares_the_best_with_the_running_means(model):
    rule = tfkit.create("callback", "median-stopping", monitor="val_score", mode="min", min_trials=3)
    first = [[4.0, 2.0, 1.0], [5.0, 4.0, 3.0], [9.0, 9.0, 9.0]]
    # Means after two epochs are 3, 4.5 and 9: 4.6 is above their median; after one they are 4, 5, 9.
    assert epochs_run(model, [*first, [4.9, 4.6, 0.0]], rule) == [3, 3, 3, 2]
    assert epochs_run(model, [[4.9, 4.4, 3.9]], rule) == [3]


def test_trials_of_elsewhere_count_where_the_callback_is_told_of_them(model):
    rule = tfkit.create("callback", "asha", monitor="val_score", mode="max")
    rule.watch(lambda: {"0000": {"val_score": [0.9], "loss": [7.0]}, "0001": {}})
    assert epochs_run(model, [[0.8, 1.0], [0.95, 1.0]], rule) == [1, 2]


def test_epochs_without_the_value_are_passed_over(model):
    rule = tfkit.create("callback", "asha", monitor="val_score", mode="max")
    rule.watch(lambda: {"0000": {"val_score": [0.5, 0.9, 0.9]}})
    measured = [{"val_score": 0.6}, {}, {}, {"val_score": 0.8}, {}, {"val_score": 0.8}, {}]
    assert fit(model, measured, rule) == 6  # the third value, and the second rung
    assert fit(model, measured, rule) == 6


@pytest.mark.parametrize("name", ["asha", "median-stopping"])
def test_what_cannot_be_watched_is_refused_by_name(model, name):
    with pytest.raises(tfkit.ParameterError, match=f"callback '{name}' cannot watch 'val_f1': the logs have loss"):
        model.fit(X, X, callbacks=[tfkit.create("callback", name, monitor="val_f1")], verbose=0)
    rule = tfkit.create("callback", name, monitor="val_score")
    with pytest.raises(tfkit.ParameterError, match=f"callback '{name}' cannot tell whether 'val_score'"):
        fit(model, [{"val_score": 1.0}], rule)


def test_it_ends_trials_of_any_tuner(tmp_path):
    """KerasTuner copies callbacks for each trial; rates from best to worst leave all but the first one epoch."""

    def build(hp):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.01, 0.001])), "mse", run_eagerly=True)
        return model

    tuner = keras_tuner.GridSearch(build, "val_loss", directory=tmp_path, project_name="asha")
    rule = tfkit.create("callback", "asha", reduction_factor=2)
    tuner.search(X, X, validation_data=(X, X), epochs=4, callbacks=[rule], verbose=0)
    trials = sorted(tuner.oracle.trials.values(), key=lambda trial: -trial.hyperparameters.get("rate"))
    assert [len(rule._fits._of_fits), *(trial.best_step for trial in trials)] == [3, 3, 0, 0]
