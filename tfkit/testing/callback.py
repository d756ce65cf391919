"""Checks of callbacks: a fit, another fit with the same object, and nothing left on the model."""

from __future__ import annotations

from tfkit.registry import Plugin
from tfkit.testing.examples import make, require, workable
from tfkit.testing.folders import empty_folder
from tfkit.testing.tiny import carried, classifier, fit, require_finite, require_nothing_left


def runs_in_a_fit(plugin: Plugin) -> None:
    """Two epochs with it end with finite weights and a history of losses."""
    for example in workable(plugin):
        model = classifier()
        history = fit(model, make(plugin, example), epochs=2)
        require(history.get("loss"), f"a fit with {dict(example)} has no loss in its history: {sorted(history)}")
        require_finite(model, f"after a fit with {dict(example)}")


def serves_two_fits(plugin: Plugin) -> None:
    """The same object works in the fit of a second model, which ends as with an object of its own."""
    import numpy as np

    for example in workable(plugin)[:1]:
        twice, other, alone = make(plugin, example), classifier(run_eagerly=True), classifier(run_eagerly=True)
        fit(classifier(run_eagerly=True), twice)
        fit(other, twice)
        with empty_folder():
            fit(alone, make(plugin, example))
        same = all(np.allclose(a, b, atol=1e-5) for a, b in zip(other.get_weights(), alone.get_weights()))
        require(same, "the second fit with one object ends in other weights than a fit with a new object")


def leaves_nothing_behind(plugin: Plugin) -> None:
    """After the fit the model carries what it carried before; another fit without it runs."""
    for example in workable(plugin):
        model = classifier()
        before = carried(model)
        fit(model, make(plugin, example))
        require_nothing_left(before, carried(model))
        fit(model)
        require_finite(model, f"after a fit with {dict(example)} and one without")


CHECKS = (runs_in_a_fit, serves_two_fits, leaves_nothing_behind)
