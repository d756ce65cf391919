"""Checks of strategies: the scope, and a fit that ends as without a strategy."""

from __future__ import annotations

from tfkit.registry import Plugin
from tfkit.testing.examples import make, require, workable
from tfkit.testing.tiny import classifier, fit


def scope_is_entered(plugin: Plugin) -> None:
    """Inside `scope()` the strategy is TensorFlow's current one, and after it no longer."""
    import tensorflow as tf

    for example in workable(plugin):
        strategy = make(plugin, example)
        with strategy.scope():
            require(tf.distribute.get_strategy() is strategy, f"scope() of {dict(example)} does not enter the strategy")
        require(not tf.distribute.has_strategy(), f"the strategy of {dict(example)} stays after its scope")


def fit_equals_one_without(plugin: Plugin) -> None:
    """A model built in the scope trains to the losses, metrics and weights of one built without a strategy."""
    import numpy as np

    plain = classifier()
    wanted = fit(plain)
    for example in workable(plugin)[:1]:
        with make(plugin, example).scope():
            model = classifier()
        got = fit(model)
        for name, value in wanted.items():
            told = f"a fit with {dict(example)} ends with {name} {got.get(name)}, without it {value}"
            require(name in got and np.allclose(got[name], value, atol=1e-4), told)
        same = all(np.allclose(a, b, atol=1e-4) for a, b in zip(model.get_weights(), plain.get_weights()))
        require(same, f"a fit with {dict(example)} ends in other weights than one without")


CHECKS = (scope_is_entered, fit_equals_one_without)
