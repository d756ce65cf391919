"""Functions of the gradients of a compiled model, applied before its optimizer sees them, several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfkit.attach.methods import functions_of, remove_from_method, wrap_method
from tfkit.attach.optimizers import inner_optimizer

Function = Callable[[Any], Any]


def add_gradient(optimizer: Any, variable: keras.Variable, function: Function) -> None:
    """Has the optimizer see a function of the variable's gradient, after those that were added before.

    Under loss scaling the function sees the gradient as it is, not scaled. A training step that was traced
    before has to be traced anew.

    Args:
        optimizer: The model's optimizer.
        variable: A variable that it updates.
        function: From a dense gradient to another of the same shape and dtype.
    """
    inner = inner_optimizer(optimizer)
    gradients = _on(inner)
    if gradients is None:
        gradients = _Gradients(inner)
        wrap_method(inner, "apply", gradients)
    gradients.attached.append((variable, function))


def remove_gradient(optimizer: Any, variable: keras.Variable, function: Function) -> None:
    """Removes what `add_gradient` added; the last one to go leaves the optimizer as it was."""
    inner = inner_optimizer(optimizer)
    gradients = _on(inner)
    if gradients is None:
        return
    # Variables compare by value.
    left = [each for each in gradients.attached if each[0] is not variable or each[1] is not function]
    gradients.attached = left
    if not left:
        remove_from_method(inner, "apply", gradients)


class _Gradients:
    """Stands around the `apply` of an optimizer, and gives it other gradients."""

    def __init__(self, optimizer: Any) -> None:
        self.attached: list[tuple[keras.Variable, Function]] = []
        self._optimizer = optimizer

    def __call__(self, apply: Callable[..., Any], grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        given = self._optimizer._trainable_variables if trainable_variables is None else trainable_variables
        variables = list(given)
        return apply([self._of(*each) for each in zip(grads, variables)], variables)

    def _of(self, gradient: Any, variable: Any) -> Any:
        functions = [function for owner, function in self.attached if owner is variable]
        if gradient is None or not functions:
            return gradient
        gradient = tf.convert_to_tensor(gradient)  # that of an embedding comes in slices
        for function in functions:
            gradient = function(gradient)
        return gradient


def _on(optimizer: Any) -> _Gradients | None:
    return next((each for each in functions_of(optimizer, "apply") if isinstance(each, _Gradients)), None)
