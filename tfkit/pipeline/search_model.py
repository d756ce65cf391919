"""The best model of a search, built again from its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfkit.errors import ModelError
from tfkit.pipeline.search_folder import SearchFolder
from tfkit.pipeline.space import Build
from tfkit.pipeline.trials import with_weights

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
    return with_weights(build, hp, data, path)
