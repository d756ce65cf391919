"""The learning rate in force while a fit runs: a schedule and scales on top of the rate an optimizer has.

They go on in any order and come off in any order; the last one to go leaves the optimizer as it was.
The one place that knows where Keras keeps an optimizer's rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfkit.attach.guard import running_callbacks
from tfkit.attach.optimizers import batches_per_update, inner_optimizer
from tfkit.errors import ModelError

Schedule = Callable[[Any], Any]
Scale = Callable[[Any], Any]


class RateInForce(keras.optimizers.schedules.LearningRateSchedule):
    """The rate an optimizer has, or a schedule over its updates, and functions of that.

    Args:
        optimizer: The optimizer that updates the weights.

    Attributes:
        own: The optimizer's own rate: a variable, a schedule or a function of nothing.
        schedule: What stands in its place, or None.
        scales: Functions from the rate to the rate, applied in their order.
    """

    def __init__(self, optimizer: Any) -> None:
        super().__init__()
        self.own: Any = optimizer._learning_rate
        self.schedule: Schedule | None = None
        self.scales: list[Scale] = []
        self._batches_per_update = batches_per_update(optimizer)

    def __call__(self, step: Any) -> Any:
        rate = self._unscaled(step)
        for scale in self.scales:
            rate = scale(rate)
        return rate

    def _unscaled(self, step: Any) -> Any:
        if self.schedule is not None:
            return self.schedule(step // self._batches_per_update)
        if isinstance(self.own, keras.optimizers.schedules.LearningRateSchedule):
            return self.own(step)
        return keras.ops.convert_to_tensor(self.own() if callable(self.own) else self.own)


def set_schedule(optimizer: Any, schedule: Schedule) -> None:
    """Puts a schedule over updates in the place of the optimizer's rate.

    Raises:
        ModelError: Another one is there.
    """
    inner = inner_optimizer(optimizer)
    if getattr(_on(inner), "schedule", None) is not None:
        raise ModelError("two schedules are installed for one fit: keep one of the schedule callbacks")
    _installed(inner).schedule = schedule


def remove_schedule(optimizer: Any) -> None:
    """Takes off what `set_schedule` put there."""
    inner = inner_optimizer(optimizer)
    in_force = _on(inner)
    if in_force is not None:
        in_force.schedule = None
        _restore_if_idle(inner, in_force)


def add_scale(optimizer: Any, scale: Scale) -> None:
    """Has the optimizer use a function of its rate, or of the schedule's."""
    _installed(inner_optimizer(optimizer)).scales.append(scale)


def remove_scale(optimizer: Any, scale: Scale) -> None:
    """Takes off what `add_scale` added."""
    inner = inner_optimizer(optimizer)
    in_force = _on(inner)
    if in_force is not None:
        in_force.scales = [each for each in in_force.scales if each != scale]
        _restore_if_idle(inner, in_force)


def refuse_rate_setters(owner: str) -> None:
    """Refuses Keras's callbacks that set the rate from outside, in a fit where it is set in the graph.

    Args:
        owner: What sets it in the graph, such as "a schedule callback".

    Raises:
        ModelError: One of them is among the callbacks of the fit that begins; the text says what to use.
    """
    for each in getattr(running_callbacks(), "callbacks", ()):
        for kind, way_out in _SETTERS.items():
            if isinstance(each, kind):
                raise ModelError(f"{type(each).__name__} cannot set the learning rate beside {owner}: {way_out}")


_SETTERS = {
    keras.callbacks.ReduceLROnPlateau: "use tfkit.callback('callback', 'reduce-lr-on-plateau', …)",
    keras.callbacks.LearningRateScheduler: "keep one; tfkit.callback('schedule', …) alone is used at every step",
}


def _on(optimizer: Any) -> RateInForce | None:
    rate = optimizer._learning_rate
    return rate if isinstance(rate, RateInForce) else None


def _installed(optimizer: Any) -> RateInForce:
    in_force = _on(optimizer)
    if in_force is None:
        in_force = RateInForce(optimizer)
        _set(optimizer, in_force)
        # A model that is saved meanwhile is saved with its own rate: its file loads anywhere.
        optimizer.get_config = lambda: _config_with(in_force.own, optimizer)
    return in_force


def _restore_if_idle(optimizer: Any, in_force: RateInForce) -> None:
    if in_force.schedule is None and not in_force.scales:
        del optimizer.get_config
        _set(optimizer, in_force.own)


def _config_with(learning_rate: Any, optimizer: Any) -> dict[str, Any]:
    """The optimizer's config with another learning rate than the one installed."""
    installed = optimizer._learning_rate
    _set(optimizer, learning_rate)
    try:
        return type(optimizer).get_config(optimizer)
    finally:
        _set(optimizer, installed)


def _set(optimizer: Any, learning_rate: Any) -> None:
    # The public setter assigns a number to the old variable and untracks it for a schedule:
    # putting the same variable back needs the attribute itself.
    optimizer._learning_rate = learning_rate
