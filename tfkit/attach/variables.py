"""Constraints and regularizers on the variables of a built model, several at once, in any order of removal.

Keras reads `variable.constraint` and `variable.regularizer` while it traces a training step, so both
work on a model that is built; setting `layer.kernel_regularizer` there has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

from tfkit.errors import ModelError
from tfkit.parameters import suggest

Function = Callable[[Any], Any]


class Constraints(keras.constraints.Constraint):
    """The constraint a variable had, then those attached to it, applied in their order."""

    def __init__(self, original: Function | None) -> None:
        self.original = original
        self.attached: list[Function] = []

    def __call__(self, value: Any) -> Any:
        return self.before(None, value)

    def before(self, last: Function | None, value: Any) -> Any:
        """The value as it reaches one of the attached functions; None for what comes out at the end."""
        for function in (self.original, *self.attached):
            if function is not None and function is last:
                break
            value = value if function is None else function(value)
        return value


class Regularizers(keras.regularizers.Regularizer):
    """The sum of the regularizer a variable had and those attached to it."""

    def __init__(self, original: Function | None) -> None:
        self.original = original
        self.attached: list[Function] = []

    def __call__(self, value: Any) -> Any:
        return sum(function(value) for function in (self.original, *self.attached) if function is not None)


def add_constraint(variable: keras.Variable, function: Function) -> None:
    """Applies a function to the variable's value after every update, after the constraint it has."""
    _add(variable, "constraint", function, Constraints)


def remove_constraint(variable: keras.Variable, function: Function) -> None:
    """Removes what `add_constraint` added; the last one to go leaves the variable as it was."""
    _remove(variable, "constraint", function, Constraints)


def value_before(variable: keras.Variable, function: Function) -> Any:
    """The variable's value as it reaches a function that `add_constraint` added."""
    return variable.constraint.before(function, variable)


def add_regularizer(variable: keras.Variable, function: Function) -> None:
    """Adds a penalty on the variable to the model's loss."""
    _add(variable, "regularizer", function, Regularizers)


def remove_regularizer(variable: keras.Variable, function: Function) -> None:
    """Removes what `add_regularizer` added; the last one to go leaves the variable as it was."""
    _remove(variable, "regularizer", function, Regularizers)


def named_variables(
    model: keras.Model, exclude: Iterable[str] = ()
) -> Iterator[tuple[keras.layers.Layer, str, keras.Variable]]:
    """The trainable variables of a model with the layer that owns each and its name there.

    Goes into nested models, wrappers and layers of layers; a shared layer comes once.

    Args:
        model: A built model.
        exclude: Layers to leave out with all that is in them, by name or type.

    Raises:
        ModelError: No layer has a name or type that is to be left out.
    """
    seen: set[int] = set()
    _check_names(model, exclude := frozenset(exclude))
    for layer in _flattened(model, exclude, set()):
        for variable in getattr(layer, "_trainable_variables", ()):
            if id(variable) not in seen and variable.trainable:
                seen.add(id(variable))
                yield layer, variable.name, variable


def excluded(layer: keras.layers.Layer, exclude: Iterable[str]) -> bool:
    """Whether a layer is named in `exclude`, by its name, a part of its path, or its type."""
    names = {layer.name, type(layer).__name__, *str(getattr(layer, "path", "")).split("/")}
    return not names.isdisjoint(exclude)


def layers_named(model: keras.Model, names: Iterable[str]) -> list[keras.layers.Layer]:
    """The layers of a model that have one of these names or types, and all that is in them, each once.

    Raises:
        ModelError: No layer has one of the names.

    Example:
        >>> inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="in")], name="nested")
        >>> model = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(1, name="out")])
        >>> [layer.name for layer in layers_named(model, ("nested",)) if layer.weights]
        ['nested', 'in']
    """
    _check_names(model, wanted := frozenset(names))
    seen: set[int] = set()
    return [each for layer in layers_in(model) if excluded(layer, wanted) for each in _flattened(layer, (), seen)]


def layers_in(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and those inside it, of nested models and wrappers too, each once."""
    return list(_flattened(layer, (), set()))


def _check_names(model: keras.Model, exclude: frozenset[str]) -> None:
    layers = layers_in(model)
    for name in sorted(exclude):
        if not any(excluded(layer, (name,)) for layer in layers):
            known = {known for layer in layers[1:] for known in (layer.name, type(layer).__name__)}
            raise ModelError(f"exclude names {name!r}, and no layer has that name or type{suggest(name, known)}")


def _flattened(layer: keras.layers.Layer, exclude: Iterable[str], seen: set[int]) -> Iterator[keras.layers.Layer]:
    """A layer and those inside it, but for the excluded: an LSTM's kernels belong to the LSTMCell in it."""
    if id(layer) in seen or excluded(layer, exclude):
        return
    seen.add(id(layer))
    yield layer
    for inner in layer._layers:
        yield from _flattened(inner, exclude, seen)


def _add(variable: Any, attribute: str, function: Function, composite: Any) -> None:
    current = getattr(variable, attribute)
    if not isinstance(current, composite):
        current = composite(current)
        setattr(variable, attribute, current)
    current.attached.append(function)


def _remove(variable: Any, attribute: str, function: Function, composite: Any) -> None:
    current = getattr(variable, attribute)
    if not isinstance(current, composite) or function not in current.attached:
        return
    current.attached.remove(function)
    if not current.attached:
        setattr(variable, attribute, current.original)
