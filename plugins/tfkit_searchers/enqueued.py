"""Values that somebody wants to be tried, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tuner.engine.hyperparameters import Float, Int

from tfkit.errors import ParameterError
from tfkit.parameters import suggest
from tfkit_searchers import space
from tfkit_searchers.levels import levels


def checked(parameters: space.Space, values: Mapping[str, Any]) -> space.Values:
    """The values, with the defaults of the active hyperparameters that are left out.

    Args:
        parameters: The space.
        values: By the names of hyperparameters.

    Raises:
        ParameterError: A name is unknown or of a scope that is closed, or its hyperparameter does not take the value.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Int("units", 2, 8), hp.Boolean("bias")
        >>> checked(hp.space, {"units": 4})
        {'units': 4, 'bias': False}
    """
    known = {parameter.name for parameter in parameters}
    for name in values:
        if name not in known:
            raise ParameterError(f"no hyperparameter is called {name!r}{suggest(name, known)}")
    whole = space.active_values(parameters, lambda each: _taken(each, values.get(each.name, each.default)))
    for name in values:
        if name not in whole:
            raise ParameterError(f"the hyperparameter {name!r} is of a scope that is closed under {dict(values)}")
    return whole


def _taken(parameter: Any, value: Any) -> Any:
    found = levels(parameter)
    if isinstance(parameter, Float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    is_kind = isinstance(value, float) if isinstance(parameter, Float) else type(value) in _types(parameter)
    if is_kind and (parameter.min_value <= value <= parameter.max_value if found is None else value in found):
        return value
    raise ParameterError(f"the hyperparameter {parameter.name!r} does not take {value!r}; it is {_told(parameter)}")


def _types(parameter: Any) -> set[type]:
    return {int} if isinstance(parameter, Int) else {type(value) for value in parameter.values}


def _told(parameter: Any) -> str:
    if not isinstance(parameter, (Int, Float)):
        return "one of " + ", ".join(repr(value) for value in levels(parameter))
    step = "" if parameter.step is None else f" in steps of {parameter.step}"
    return f"from {parameter.min_value} to {parameter.max_value}{step}"
