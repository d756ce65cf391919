"""Functions of the gradients of a compiled model, applied before its optimizer sees them, several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

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
    if not isinstance(vars(inner).get("apply"), _Apply):
        inner.apply = _Apply(inner.apply)
    inner.apply.attached.append((variable, function))


def remove_gradient(optimizer: Any, variable: keras.Variable, function: Function) -> None:
    """Removes what `add_gradient` added; the last one to go leaves the optimizer as it was."""
    inner = inner_optimizer(optimizer)
    apply = vars(inner).get("apply")
    if not isinstance(apply, _Apply):
        return
    # Variables compare by value.
    apply.attached = [each for each in apply.attached if each[0] is not variable or each[1] is not function]
    if not apply.attached:
        del inner.apply


class _Apply:
    """The `apply` of an optimizer, given other gradients."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original
        self.attached: list[tuple[keras.Variable, Function]] = []

    def __call__(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        if trainable_variables is None:
            trainable_variables = self.original.__self__._trainable_variables  # type: ignore[attr-defined]
        variables = list(trainable_variables)
        return self.original([self._of(*each) for each in zip(grads, variables)], variables)

    def _of(self, gradient: Any, variable: Any) -> Any:
        functions = [function for owner, function in self.attached if owner is variable]
        if gradient is None or not functions:
            return gradient
        gradient = tf.convert_to_tensor(gradient)  # that of an embedding comes in slices
        for function in functions:
            gradient = function(gradient)
        return gradient
