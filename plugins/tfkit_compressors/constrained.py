"""ConstrainedCallback: what holds for the kernels of a model after every update of one fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tfkit import Data
from tfkit.attach.attached import Attached
from tfkit.attach.gradients import add_gradient, remove_gradient
from tfkit.attach.training import train
from tfkit.attach.variables import add_constraint, remove_constraint
from tfkit.models import require_compiled

Function = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Held:
    """A kernel and what it is held to.

    Attributes:
        kernel: The variable.
        constraint: From a value to the nearest one that is allowed, of the same shape.
        gradient: From a gradient to the one that the optimizer gets; None leaves it.
    """

    kernel: keras.Variable
    constraint: Function
    gradient: Function | None = None

    def apply(self) -> None:
        """Writes the allowed value into the kernel, outside of a graph."""
        self.kernel.assign(self.constraint(self.kernel.value))


# What a model's kernels are held to: made when the fit begins, from the weights of that moment.
Plan = Callable[[keras.Model], Sequence[Held]]


class ConstrainedCallback(Attached):
    """Holds kernels to constraints when a fit begins and after every update, in the graph.

    Args:
        plan: Gives what the kernels of a model are held to.

    Raises:
        ModelError: When the fit begins, if `plan` refuses the model.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._held: Sequence[Held] = ()
        self._ended: Sequence[Held] = ()

    def install(self, model: keras.Model) -> None:
        with model.distribute_strategy.scope():
            self._held = self._plan(model)
        _apply(self._held)
        for each in self._held:
            add_constraint(each.kernel, each.constraint)
            if each.gradient is not None:
                add_gradient(model.optimizer, each.kernel, each.gradient)

    def uninstall(self, model: keras.Model) -> None:
        for each in self._held:
            remove_constraint(each.kernel, each.constraint)
            if each.gradient is not None:
                remove_gradient(model.optimizer, each.kernel, each.gradient)
        self._held, self._ended = (), self._held

    def finish(self, model: keras.Model) -> None:
        # Another callback may have written weights at its end, such as averages.
        _apply(self._ended)
        self._ended = ()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        _apply(self._held)  # an optimizer with use_ema has written averages over the weights

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        _apply(self._held)
        super().on_train_end(logs)


def _apply(held: Sequence[Held]) -> None:
    for each in held:
        each.apply()


def constrain(model: keras.Model, data: Data, plan: Plan, epochs: int) -> None:
    """Holds the kernels of a model to constraints, once, or while it trains.

    Args:
        model: A built model, compiled where epochs is not 0; it is changed.
        data: The train part is fitted.
        plan: As for `ConstrainedCallback`.
        epochs: Epochs of training; 0 applies the constraints once.

    Raises:
        ModelError: If the model is not compiled, or `plan` refuses it.
    """
    if epochs == 0:
        _apply(plan(model))
        return
    train(require_compiled(model), data, epochs, [ConstrainedCallback(plan)])
