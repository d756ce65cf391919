"""One `fit` as a recipe's train section says it, inside its strategy's scope."""

from __future__ import annotations

import contextlib
from typing import Any

from tfkit.data import Data
from tfkit.errors import ModelError
from tfkit.factory import callback, create
from tfkit.models import require_compiled
from tfkit.pipeline.diagnosis import findings_of, with_watchers
from tfkit.progress import task
from tfkit.recipe import Recipe, Step, TrainSection, step_name


def train(
    recipe: Recipe, data: Data, values: dict[str, Any]
) -> tuple[Any, dict[str, list[float]], list[dict[str, Any]]]:
    """Builds the recipe's model and trains it.

    Args:
        recipe: The recipe; its seed is set before the model is built.
        data: Train and validation parts.
        values: Hyperparameter values for the recipe's model function.

    Returns:
        The trained model, its history by the names that Keras logs, and what callback "doctor" has found wrong.
    """
    import keras

    from tfkit.attach.progress import FitProgress
    from tfkit.attach.replicas.callback import StrategyCallback
    from tfkit.attach.replicas.preflight import refuse_keras_distribution

    refuse_keras_distribution()
    keras.utils.set_random_seed(recipe.seed)
    strategy = _strategy(recipe.train.strategy)
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        model = build(recipe, values)
    guards = [] if strategy is None else [StrategyCallback(strategy)]
    validation = None if data.validation is None else data.dataset("validation")
    watching = with_watchers(callbacks(recipe.train))
    with task("train", total=recipe.train.epochs) as advance:
        history = model.fit(
            data.dataset("train"),
            validation_data=validation,
            epochs=recipe.train.epochs,
            shuffle=False,  # The dataset shuffles itself.
            callbacks=[*guards, *watching, FitProgress(advance)],
            verbose=0,
        )
    figures = {name: [float(each) for each in values] for name, values in history.history.items()}
    return model, figures, findings_of(watching)


def build(recipe: Recipe, values: dict[str, Any]) -> Any:
    """The recipe's model for these hyperparameter values, checked.

    Raises:
        ModelError: The model function returns something else, or a model that is not compiled.
    """
    import keras

    model = recipe.model(hyperparameters(values))
    if not isinstance(model, keras.Model):
        found = type(model).__name__
        raise ModelError(f"the model function of recipe {recipe.name!r} must return a Keras model; got {found}")
    return require_compiled(model)


def hyperparameters(values: dict[str, Any]) -> Any:
    """KerasTuner's HyperParameters with these values, defaults for the others."""
    import keras_tuner

    found = keras_tuner.HyperParameters()
    found.values.update(values)
    return found


def callbacks(section: TrainSection) -> list[Any]:
    """The Keras callbacks of a train section: its schedule, its regularizer and its callbacks."""
    parts: list[tuple[str, Step]] = []
    if section.schedule is not None:
        parts.append(("schedule", section.schedule))
    if section.regularizer is not None:
        parts.append(("regularizer", section.regularizer))
    parts += [("callback", step) for step in section.callbacks]
    named = [(kind, *step_name(step)) for kind, step in parts]
    return [callback(kind, name, **params) for kind, name, params in named]


def _strategy(strategy: Step | None) -> Any:
    if strategy is None:
        return None
    name, params = step_name(strategy)
    return create("strategy", name, **params)
