"""Checks of callbacks: a fit, another fit with the same object, and nothing left on the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfkit.errors import DataError, ModelError
from tfkit.registry import Plugin
from tfkit.testing.examples import Example, make, require, workable
from tfkit.testing.folders import empty_folder
from tfkit.testing.shared import shared
from tfkit.testing.tiny import (
    carried,
    category_classifier,
    category_data,
    classifier,
    data,
    fit,
    image_classifier,
    image_data,
    require_finite,
    require_nothing_left,
)

if TYPE_CHECKING:
    import keras

    from tfkit.data import Data


@dataclass(frozen=True)
class _Task:
    """A model, made anew each time, and its data."""

    model: Callable[..., keras.Model]
    rows: Callable[[], Data]

    def fit(self, model: keras.Model, *callbacks: Any, epochs: int = 1) -> dict[str, list[float]]:
        return fit(model, *callbacks, epochs=epochs, rows=self.rows())


# Numbers; images, residuals and dropout; ids.
_TASKS = (_Task(classifier, data), _Task(image_classifier, image_data), _Task(category_classifier, category_data))


@dataclass(frozen=True)
class _Fitted:
    """A model after its fit, the history, and what it carried before and after."""

    task: _Task
    model: keras.Model
    history: Mapping[str, list[float]]
    before: dict[str, Any]
    after: dict[str, Any]


def runs_in_a_fit(plugin: Plugin) -> None:
    """Two epochs with it end with finite weights and a history of losses."""
    for example in workable(plugin):
        fitted = _fitted(plugin, example)
        told = f"a fit with {dict(example)} has no loss in its history: {sorted(fitted.history)}"
        require(fitted.history.get("loss"), told)
        require_finite(fitted.model, f"after a fit with {dict(example)}")


def serves_two_fits(plugin: Plugin) -> None:
    """The same object works in the fit of a second model, which ends as with an object of its own."""
    import numpy as np

    for example in workable(plugin)[:1]:
        try:
            task = _fitted(plugin, example).task
        except Exception:
            return  # told by runs_in_a_fit
        first, other, alone = (task.model(run_eagerly=True) for _ in range(3))
        twice = make(plugin, example)
        task.fit(first, twice)
        task.fit(other, twice)
        with empty_folder():
            task.fit(alone, make(plugin, example))
        same = all(np.allclose(a, b, atol=1e-5) for a, b in zip(other.get_weights(), alone.get_weights()))
        require(same, "the second fit with one object ends in other weights than a fit with a new object")


def leaves_nothing_behind(plugin: Plugin) -> None:
    """After the fit the model carries what it carried before; another fit without it runs."""
    for example in workable(plugin):
        try:
            fitted = _fitted(plugin, example)
        except Exception:
            continue  # told by runs_in_a_fit
        require_nothing_left(fitted.before, fitted.after)
        fitted.task.fit(fitted.model)
        require_finite(fitted.model, f"after a fit with {dict(example)} and one without")


@shared
def _fitted(plugin: Plugin, example: Example) -> _Fitted:
    """A fit of two epochs, of the first task that the plugin does not refuse."""
    refusal: Exception | None = None
    for task in _TASKS:
        model = task.model()
        before = carried(model)
        try:
            history = task.fit(model, make(plugin, example), epochs=2)
        except (ModelError, DataError) as error:
            refusal = refusal or error
            continue
        return _Fitted(task, model, history, before, carried(model))
    assert refusal is not None
    raise refusal


CHECKS = (runs_in_a_fit, serves_two_fits, leaves_nothing_behind)
