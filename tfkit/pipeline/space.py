"""The hyperparameters that a build function asks for, found by calling it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfkit.errors import ModelError
from tfkit.reasons import reason

if TYPE_CHECKING:
    import keras
    import keras_tuner

Build = Callable[[Any], Any]


def explore(build: Build) -> keras_tuner.HyperParameters:
    """Calls `build` with the defaults, then once with each conditional scope open that was not yet.

    Args:
        build: Function of KerasTuner's `hp` that returns a compiled Keras model.

    Returns:
        The space, with the defaults as values. It is the same whenever `build` is.

    Raises:
        ModelError: With the defaults, `build` raises, or returns no compiled Keras model.
    """
    import keras_tuner

    found = keras_tuner.HyperParameters()
    try:
        built(build, found)
    except ModelError:
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {reason(error)}"
        raise ModelError(f"build(hp) fails with the default values {found.values}: {told}") from error
    closed, opened = list(found.inactive_scopes), list(found.active_scopes)
    while closed:
        scope = closed.pop(0)
        if scope in opened:
            continue
        opened.append(scope)
        hp = keras_tuner.HyperParameters()
        hp.values = {condition.name: condition.values[0] for condition in scope}
        with contextlib.suppress(Exception):  # what it has asked for until then counts
            build(hp)
        found.merge(hp, overwrite=False)
        opened += hp.active_scopes
        closed += hp.inactive_scopes
    return found


def built(build: Build, hp: keras_tuner.HyperParameters) -> keras.Model:
    """The model for these hyperparameters, checked.

    Raises:
        ModelError: `build` returned something else, or a model that is not compiled.
    """
    import keras

    model = build(hp)
    if not isinstance(model, keras.Model):
        hint = ": it may lack its return" if model is None else ""
        raise ModelError(f"build(hp) must return a compiled Keras model; got {model!r}{hint}")
    if not model.compiled:
        raise ModelError("build(hp) must return a compiled model: call model.compile(optimizer=…, loss=…) in it")
    return model
