"""Attached, the base of every callback that changes a model for one `fit`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import keras

from tfkit.attach.guard import Guard


class Attached(keras.callbacks.Callback):
    """Installs something on the model when training begins and removes it when training ends.

    It ends with the last epoch, with an exception in a step or in any callback, or with Ctrl-C there; what
    an exception in another callback's `on_train_begin` leaves is removed in the first step of the next fit.

    Subclasses implement `install` and `uninstall`, and `finish` where there is a last thing to do. The train
    function is traced anew after the first two: Keras keeps the old graph otherwise and the change would have no
    effect.

    Attributes:
        random_states: Variables of what draws at random on the model while it is attached, beside those of its layers.
    """

    random_states: Sequence[Any] = ()

    def __init__(self) -> None:
        super().__init__()
        self._guard: Guard | None = None

    def install(self, model: keras.Model) -> None:
        """Changes the model. Called once, before the first step."""
        raise NotImplementedError

    def uninstall(self, model: keras.Model) -> None:
        """Puts back everything that `install` changed."""
        raise NotImplementedError

    def finish(self, model: keras.Model) -> None:
        """Called once a fit is whole, after what every callback does at its end, such as restoring weights."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._remove()
        with Guard.of(self.model) as guard:
            try:
                self.install(self.model)
            except BaseException:
                with contextlib.suppress(Exception):  # what is not on it yet cannot be taken off
                    self.uninstall(self.model)
                raise
            self._guard = guard
            guard.attached.append(self)
            guard.retrace()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        guard = self._guard
        self._remove()
        if guard is not None:
            guard.at_end(functools.partial(self.finish, guard.model))

    def _remove(self) -> None:
        """Takes off what is on a model, if anything."""
        guard, self._guard = self._guard, None
        if guard is not None:
            self.uninstall(guard.model)
            guard.drop(self)

    def _retrace(self, model: keras.Model) -> None:
        """Has the train function traced anew: for what changes while a fit runs."""
        assert self._guard is not None
        self._guard.retrace()
