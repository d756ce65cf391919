"""EpochSteps: a number of steps that changes from epoch to epoch of one Keras `fit`.

Keras reads `steps_per_epoch` anew in each epoch, and never asks for another iterator. This is the one place
that knows how Keras's epoch loop is built.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from tfkit.errors import ModelError, ParameterError


class EpochSteps:
    """What `fit(steps_per_epoch=…)` takes: it stands for the steps of the epoch that runs.

    Each epoch also begins a new iterator over the data. With `steps_per_execution` an epoch whose steps are no
    multiple then ends where its data end, and takes no steps of the next.

    Args:
        steps: Steps of each epoch.
        begin: Called with the number of an epoch, counted from 0, before its data are read.

    Attributes:
        epoch: The epoch that runs.

    Example:
        >>> steps = EpochSteps([5, 3], begin=lambda epoch: None)
        >>> list(range(steps)), steps + 1, f"{steps} steps"
        ([0, 1, 2, 3, 4], 6, '5 steps')
    """

    def __init__(self, steps: Sequence[int], begin: Callable[[int], None]) -> None:
        self.steps = tuple(steps)
        self.epoch = 0
        self._begin = begin

    def __bool__(self) -> bool:
        loop = sys._getframe(1)
        # Keras's loop over an epoch asks first of all; an `if` in it asks again later.
        if loop.f_code.co_name == "_enumerate_iterator" and "steps_per_epoch" not in loop.f_locals:
            self._begin_epoch(loop)
        return True

    def __index__(self) -> int:
        return self.steps[self.epoch]

    def _begin_epoch(self, loop: FrameType) -> None:
        iterator = loop.f_locals["self"]
        epoch = _epoch_of(loop, iterator)
        if epoch >= len(self.steps):
            raise ParameterError(f"fit_arguments was made for {len(self.steps)} epochs; fit is in epoch {epoch + 1}")
        self.epoch = epoch
        self._begin(epoch)
        iterator._current_iterator = None


def steps_of(steps: int | EpochSteps, epochs: range) -> int:
    """Steps of some epochs of a fit.

    Args:
        steps: What callbacks find in `params["steps"]`.
        epochs: The epochs, counted from 0.

    Example:
        >>> steps_of(EpochSteps([5, 3, 2], begin=lambda epoch: None), range(1, 3)), steps_of(4, range(1, 3))
        (5, 8)
    """
    if isinstance(steps, EpochSteps):
        return sum(steps.steps[epochs.start : epochs.stop])
    return steps * len(epochs)


def _epoch_of(frame: FrameType | None, iterator: Any) -> int:
    """The epoch of the `fit` that reads an iterator; before its first, where it looks at a batch, that."""
    while frame is not None:
        found = frame.f_locals
        if found.get("epoch_iterator") is iterator and "initial_epoch" in found:
            return int(found.get("epoch", found["initial_epoch"]))
        frame = frame.f_back
    raise ModelError("this steps_per_epoch is for model.fit alone: it is not Keras's fit that reads it")


def _forwarded(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *others: function(self.__index__(), *others)


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: function(other, self.__index__())


# All that callbacks, bars and logs do with a number of steps.
for _function in (int, float, format, repr, str):
    setattr(EpochSteps, f"__{_function.__name__}__", _forwarded(_function))
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod"):
    setattr(EpochSteps, f"__{_name}__", _forwarded(getattr(operator, _name)))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod"):
    setattr(EpochSteps, f"__r{_name}__", _reflected(getattr(operator, _name)))
