"""The best model of a search, built again from its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfkit.errors import ModelError
from tfkit.pipeline.search_folder import SearchFolder
from tfkit.pipeline.space import Build, built
from tfkit.pipeline.trials import shape
from tfkit.reasons import reason

if TYPE_CHECKING:
    import keras

    from tfkit.data import Data


def best_model(found: SearchFolder, build: Build, data: Data) -> keras.Model:
    """The model of the best trial with the weights of its best epoch.

    Args:
        found: The search's folder.
        build: The function of `hp` that the search was called with.
        data: Gives rows to a model whose input shapes are open.

    Raises:
        SearchError: No trial was completed.
        ModelError: The weights are gone, or do not fit what `build` returns.
    """
    import keras_tuner

    trial = found.best
    path = found.weights(trial)
    if path is None:
        raise ModelError(f"the weights of the best trial, {trial.id}, are not in {found.path}: train with its values")
    hp = keras_tuner.HyperParameters()
    hp.values = dict(trial.values)
    model = built(build, hp)
    shape(model, data)
    try:
        model.load_weights(path)
    except Exception as error:
        raise ModelError(f"the weights {path} do not fit what build(hp) returns now: {reason(error)}") from error
    return model
