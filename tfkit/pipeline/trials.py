"""One trial of a search, wherever it runs: its model built and trained."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfkit.data import Data
from tfkit.errors import ModelError, ParameterError
from tfkit.factory import create
from tfkit.goal import Constraint, Goal
from tfkit.pipeline.folds import Rows
from tfkit.pipeline.runners.protocol import (
    COMPLETED,
    FAILED,
    INVALID,
    STOPPED,
    Figures,
    Histories,
    Outcome,
    TrialRequest,
    Watcher,
)
from tfkit.pipeline.session import clear_session
from tfkit.pipeline.space import Build, built
from tfkit.reasons import reason
from tfkit.recipe import Step, step_name

if TYPE_CHECKING:
    import keras
    import keras_tuner

Callbacks = Sequence[Any] | Callable[[], Sequence[Any]]


@dataclass(frozen=True)
class Job:
    """What all trials of a search have in common.

    Attributes:
        build: Function of `hp` that returns a compiled Keras model.
        data: Train and validation parts.
        callbacks: Keras callbacks, copied for each trial, or a function that makes them. Those that have a method
            `watch` are given a function that returns the histories of the other trials.
        objective: A `keras_tuner.Objective`.
        stop_early: A callback plugin that ends trials which do worse than the others, or None.
        folds: The rows of each fold of a cross-validation; none for a fit on the parts as they are.
        constraints: Bounds on what a trial reports.
        set_up: What a child process calls before it runs trials.
    """

    build: Build
    data: Data
    callbacks: Callbacks
    objective: Any
    stop_early: Step | None = None
    folds: tuple[Rows, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    set_up: str | None = "tfkit.pipeline.session:bound_tensorflow"

    @property
    def goal(self) -> Goal:
        """The objectives and constraints."""
        return Goal.of(self.objective, self.constraints)

    def run(self, request: TrialRequest, watcher: Watcher) -> Outcome:
        """Trains a trial's model; what goes wrong is in the outcome, and is no error here.

        Args:
            request: The trial.
            watcher: Is told of each epoch.

        Raises:
            ParameterError: No metric has the name of an objective or a constraint.
        """
        import keras_tuner

        from tfkit.attach.trial import OutOfTime, TooSlow, UnknownObjective
        from tfkit.pipeline.figures import Excluded

        # A copy, since KerasTuner changes the conditions in what it reads.
        hp = keras_tuner.HyperParameters.from_config(copy.deepcopy(request.hyperparameters))
        try:
            history = tuple(self._history(request, hp, watcher))
        except OutOfTime:
            return Outcome(STOPPED, request.hyperparameters)
        except TooSlow:
            return request.too_slow()
        except Excluded as excluded:
            return Outcome(COMPLETED, hp.get_config(), (excluded.figures,))
        except (UnknownObjective, keras_tuner.errors.FatalError):
            raise
        except Exception as error:
            final = isinstance(error, keras_tuner.errors.FailedTrialError)
            return Outcome(FAILED if final else INVALID, hp.get_config(), message=traceback.format_exc())
        return Outcome(COMPLETED, hp.get_config(), history)

    def _history(self, request: TrialRequest, hp: keras_tuner.HyperParameters, watcher: Watcher) -> list[Figures]:
        if not self.folds:
            fit = fitted(self, request, hp, watcher)
            found = measured(self, fit.model)
            return [{**each, **found} for each in fit.history]
        from tfkit.pipeline.cross_validated import cross_validated

        return cross_validated(self, request, hp, watcher)


@dataclass(frozen=True)
class Fit:
    """What became of one fit.

    Attributes:
        model: The model, after its last epoch.
        history: The logs of each epoch.
        was_given_up: Whether it was ended since it did worse than the others.
    """

    model: keras.Model
    history: list[Figures]
    was_given_up: bool


def stop_rule(stop_early: Step | None, objective: Any) -> list[Any]:
    """The callback that ends bad trials, if there is one; it watches the objective unless told otherwise.

    Raises:
        PluginNotFound: There is no such callback.
        ParameterError: It takes other parameters; or there are several objectives, and none is named.
    """
    if stop_early is None:
        return []
    name, params = step_name(stop_early)
    goal = Goal.of(objective)
    if "monitor" not in params and (len(goal.objectives) > 1 or goal.figures):
        known = ", ".join(goal.names)
        raise ParameterError(f"stop_early={name!r} watches one objective of {known}: pass ({name!r}, {{'monitor': …}})")
    watched = {} if "monitor" in params else {"monitor": objective.name, "mode": objective.direction}
    return [create("callback", name, **{**watched, **params})]


def copied_callbacks(callbacks: Callbacks) -> list[Any]:
    """The callbacks for one fit.

    Raises:
        ParameterError: They cannot be copied.
    """
    if callable(callbacks):
        return list(callbacks())
    try:
        return copy.deepcopy(list(callbacks))
    except Exception as error:
        raise ParameterError(
            f"the callbacks cannot be copied for each trial ({error}): pass callbacks= a function that makes them"
        ) from error


def with_weights(build: Build, hp: keras_tuner.HyperParameters, data: Data, path: Path) -> keras.Model:
    """Builds a model and reads its weights.

    Raises:
        ModelError: They do not fit what `build` returns.
    """
    model = built(build, hp)
    shape(model, data)
    try:
        model.load_weights(path)
    except Exception as error:
        raise ModelError(f"the weights {path} do not fit what build(hp) returns now: {reason(error)}") from error
    return model


def shape(model: keras.Model, data: Data) -> None:
    """Makes all variables of a model exist, the optimizer's too."""
    if not model.built:
        model.predict_on_batch(data.sample(1))
    model.optimizer.build(model.trainable_variables)


def measured(job: Job, model: keras.Model) -> Figures:
    """What the objectives and constraints want to be known of a model besides its logs."""
    if not job.goal.figures:
        return {}
    from tfkit.pipeline.figures import figures

    return figures(model, job.goal.figures, job.data)


def fitted(job: Job, request: TrialRequest, hp: keras_tuner.HyperParameters, watcher: Watcher) -> Fit:
    """Builds a model and trains it.

    Raises:
        Excluded: It exceeds a bound before it is trained.
    """
    import keras

    from tfkit.attach.state import learning_rate, save_state
    from tfkit.attach.trial import TrialCallback

    clear_session()
    keras.utils.set_random_seed(request.seed)
    watch = TrialCallback(
        job.objective,
        request.to_beat,
        request.weights,
        request.ends,
        lambda epoch, figures: watcher.epoch(request, epoch, figures),
        request.timeout,
        job.constraints,
    )
    model = built(job.build, hp)
    _check_early(model, job)
    rate = learning_rate(model)
    _resume(model, job, request)
    callbacks = _watching(job, request, watcher)
    _fit(model, job, request, [*callbacks, watch])
    if request.last is not None:
        save_state(model, request.last, rate)
    given_up = any(getattr(each, "stopped_epoch", None) is not None for each in callbacks if hasattr(each, "watch"))
    return Fit(model, watch.history, given_up)


def _check_early(model: keras.Model, job: Job) -> None:
    from tfkit.pipeline.figures import EARLY, check_early

    if any(name in EARLY for name in job.goal.figures):
        shape(model, job.data)
        check_early(model, job.goal)


def _resume(model: keras.Model, job: Job, request: TrialRequest) -> None:
    """Puts the model where the trial that it goes on from has ended."""
    if request.resume is None:
        return
    from tfkit.attach.state import load_state

    if not request.resume.exists():
        raise ModelError(f"the state of the trial to go on from, {request.resume}, was not kept")
    shape(model, job.data)
    load_state(model, request.resume)


def _fit(model: keras.Model, job: Job, request: TrialRequest, callbacks: list[Any]) -> None:
    validation = None if job.data.validation is None else job.data.dataset("validation")
    model.fit(
        job.data.dataset("train"),
        validation_data=validation,
        epochs=request.epochs,
        initial_epoch=request.initial_epoch,
        shuffle=False,  # the dataset does it; Keras warns of its own default
        verbose=0,
        callbacks=callbacks,
    )


def _watching(job: Job, request: TrialRequest, watcher: Watcher) -> list[Any]:
    """The callbacks; those that compare the trial with others know where to find them."""

    def others() -> Histories:
        return {trial: figures for trial, figures in watcher.histories().items() if trial != request.trial}

    callbacks = [*copied_callbacks(job.callbacks), *stop_rule(job.stop_early, job.objective)]
    for each in callbacks:
        if hasattr(each, "watch"):
            each.watch(others)
    return callbacks
