import keras
import numpy as np
import pytest
from keras import layers

import tfkit


class Scripted(keras.callbacks.Callback):
    """Sets the bias to the epoch's number and the monitored value to one that is given."""

    def __init__(self, values, name="val_score"):
        super().__init__()
        self.values = values
        self.name = name

    def on_epoch_end(self, epoch, logs=None):
        self.model.layers[-1].bias.assign([float(epoch)])
        if self.values[epoch] is not None:
            logs[self.name] = self.values[epoch]


def fit(values, name="val_score", epochs=None, **params):
    """Epochs run and the epoch whose weights the model ends with, for a scripted value of each epoch."""
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    stop = tfkit.create("callback", "early-stopping", **{"monitor": name, "mode": "min", **params})
    epochs = epochs or len(values)
    history = model.fit(
        np.ones((2, 1)), np.ones((2, 1)), epochs=epochs, callbacks=[Scripted(values, name), stop], verbose=0
    )
    return len(history.epoch), int(model.layers[-1].bias.numpy()[0])


def test_it_stops_after_patience_and_restores_the_best_epoch():
    assert fit([5, 3, 4, 4, 4, 1], patience=2) == (4, 1)
    assert fit([1, 5, 3, 4, 4, 9], patience=2, mode="max") == (4, 1)


def test_the_best_epoch_is_restored_at_the_last_epoch_too():
    assert fit([5, 3, 4], patience=9) == (3, 1)
    assert fit([5, 3, 4], patience=9, restore_best_weights=False) == (3, 2)


def test_a_change_must_exceed_min_delta():
    assert fit([5, 4.9, 4.8, 4.7], patience=2, min_delta=1.0) == (3, 0)


def test_start_from_epoch_and_baseline():
    assert fit([1, 9, 9, 5, 6, 6], patience=2, start_from_epoch=3) == (6, 3)
    assert fit([9, 8, 7, 6], patience=2, baseline=2.0) == fit_with_keras([9, 8, 7, 6], patience=2, baseline=2.0)


def fit_with_keras(values, **params):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    stop = keras.callbacks.EarlyStopping(monitor="val_score", mode="min", restore_best_weights=True, **params)
    history = model.fit(
        np.ones((2, 1)), np.ones((2, 1)), epochs=len(values), callbacks=[Scripted(values), stop], verbose=0
    )
    return len(history.epoch), int(model.layers[-1].bias.numpy()[0])


NAN = float("nan")


@pytest.mark.parametrize("first", [NAN, float("-inf")])
def test_a_value_that_is_not_finite_is_never_the_best(first):
    assert fit([first, 3, 4, 4, 4], patience=2) == (4, 1)
    # Keras takes the first for the best: when this fails it no longer does, and the repair can go.
    assert fit_with_keras([first, 3, 4, 4, 4], patience=2) == (3, 0)


def test_nan_counts_towards_patience():
    assert fit([3, NAN, NAN, NAN, 1], patience=2) == (3, 0)
    assert fit([3, NAN, 2, NAN, NAN, 1], patience=2) == (5, 2)
    assert fit([NAN, NAN, NAN, 1], patience=2) == (2, 1)


def test_one_object_serves_two_fits():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    stop = tfkit.create("callback", "early-stopping", monitor="score", patience=1, mode="min")
    for values in ([1, 2, 3], [9, 8, 9, 9]):
        script = Scripted(values, "score")
        history = model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=len(values), callbacks=[script, stop], verbose=0)
        assert len(history.epoch) == values.index(min(values)) + 2
        assert model.layers[-1].bias.numpy()[0] == values.index(min(values))


def test_what_the_logs_lack_is_refused_with_what_they_have():
    with pytest.raises(tfkit.ParameterError, match=r"cannot watch 'val_los': the logs have loss, val_score$"):
        fit_watching("val_los")
    with pytest.raises(tfkit.ParameterError, match="have loss; for val_… pass validation_data to fit"):
        fit_watching("val_loss", values=[None])


def fit_watching(monitor, values=(1,)):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    stop = tfkit.create("callback", "early-stopping", monitor=monitor, patience=1)
    model.fit(np.ones((2, 1)), np.ones((2, 1)), callbacks=[Scripted(values), stop], verbose=0)


def test_epochs_without_validation_are_waited_for():
    assert fit([4, None, 3, None, 5, None, 5, None], patience=2) == (7, 2)


def test_auto_asks_the_metric():
    def epochs(monitor):
        model = keras.Sequential([keras.Input((1,)), layers.Dense(2, "softmax")])
        model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
        stop = tfkit.create("callback", "early-stopping", monitor=monitor, patience=1)
        model.fit(np.ones((2, 1)), np.ones((2,)), epochs=2, callbacks=[stop], verbose=0)
        return stop.monitor_op.__name__

    assert epochs("loss") == "less"
    assert epochs("accuracy") == "greater"
    with pytest.raises(tfkit.ParameterError, match="whether 'val_score' is better low or high: pass mode='min' or"):
        fit_watching("val_score")


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "needs 'patience'"),
        ({"patience": -1}, "'patience' .* must be an int >= 0; got -1"),
        ({"patience": 1, "mode": "low"}, "'mode' .* must be 'auto' or 'min' or 'max'; got 'low'"),
    ],
)
def test_parameters_out_of_bounds(params, told):
    with pytest.raises(tfkit.ParameterError, match=told):
        tfkit.create("callback", "early-stopping", **params)
