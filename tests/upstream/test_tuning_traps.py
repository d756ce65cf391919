"""What is wrong upstream where a search is fed with plugins' parameters or shown as scikit-learn's estimator."""

import keras
import keras_tuner
import numpy as np
from sklearn.base import clone

import tfkit
from tfkit.sklearn import KerasRegressor


def test_trap_keras_tuner_makes_numbers_of_a_choice_of_booleans():
    hp = keras_tuner.HyperParameters()
    assert type(hp.Choice("flag", [True, False])) is int, "KerasTuner keeps booleans: tfkit.domains may give them to it"
    ranges = {"value": [0.1], "depthwise": [True]}
    assert tfkit.tunable(hp, "compressor", "threshold", ranges=ranges)[1]["depthwise"] is True


def build(hp=None, X=None, y=None):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def test_trap_a_clone_of_keras_wrapper_forgets_its_epochs():
    """Every scikit-learn search clones what it is given: it would train for one epoch, and say nothing."""
    upstream = keras.wrappers.SKLearnRegressor(model=build, fit_kwargs={"epochs": 3, "verbose": 0})
    assert clone(upstream).fit_kwargs is None, "Keras's wrapper is cloned whole: docs/upstream.md may lose its row"
    x = np.ones((4, 1))
    assert len(clone(KerasRegressor(build, epochs=3)).fit(x, x[:, 0]).history_["loss"]) == 3
