"""Guard: takes off what is attached to a model when anything in its fit raises."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

if TYPE_CHECKING:
    from tfkit.attach.attached import Attached

# How a finite dataset says that it is at its end; not a failure.
_END_OF_DATA = (StopIteration, tf.errors.OutOfRangeError)


class Guard:
    """What is attached to a model in one fit. As a context manager it takes all of it off when its body raises.

    Keras calls no callback when a fit fails. The guard therefore stands around the train function, the test
    function and every method of the fit's `keras.callbacks.CallbackList`, until the last part is taken off.

    Args:
        model: The model in a fit that has begun.

    Attributes:
        attached: The callbacks whose parts are on the model.
        steps: Calls of the train function that came back, in the whole fit.
        ran_out: Whether the last call found the data at its end instead.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.attached: list[Attached] = []
        self.steps = 0
        self.ran_out = False
        self._last: list[Callable[[], None]] = []
        self._fit = _fit(model)
        self._callbacks = running_callbacks()
        for name in _methods(self._callbacks):
            setattr(self._callbacks, name, self._watched(name))
        if self._callbacks is not None:
            self._callbacks.on_train_end = self._then_last(self._callbacks.on_train_end)

    @classmethod
    def of(cls, model: keras.Model) -> Guard:
        """The guard of the model's present fit; what an earlier fit could not take off goes first."""
        guard: Guard | None = getattr(model.train_function, "guard", None)
        if guard is not None and guard.is_present():
            return guard
        if guard is not None:
            guard.release()
        return cls(model)

    def is_present(self) -> bool:
        """Whether the fit it was made for still runs, as far as can be told: each fit has a history of its own."""
        return _fit(self.model) is self._fit

    def retrace(self) -> None:
        """Has the train function traced anew, with what is attached now."""
        self.model.make_train_function(force=True)
        self._watch("train_function")
        self.model.make_test_function()
        self._watch("test_function")

    def drop(self, callback: Attached) -> None:
        """Forgets a callback whose part is off; the last one takes the guard with it."""
        self.attached.remove(callback)
        self.model.train_function = None
        if not self.attached:
            self._unwatch()

    def at_end(self, function: Callable[[], None]) -> None:
        """Calls a function when every callback has had its `on_train_end`: at once if nothing calls them together."""
        if self._callbacks is None:
            function()
        else:
            self._last.append(function)

    def release(self) -> None:
        """Takes everything off, the last part first."""
        for callback in reversed(self.attached):
            callback._remove()
        self._unwatch()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, _END_OF_DATA):
            self.release()

    def _watch(self, name: str) -> None:
        if getattr(getattr(self.model, name), "guard", None) is not self:
            setattr(self.model, name, _Step(self, name))

    def _unwatch(self) -> None:
        if getattr(self.model.test_function, "guard", None) is self:
            self.model.test_function = self.model.test_function.function
        for name in _methods(self._callbacks):
            vars(self._callbacks).pop(name, None)

    def _watched(self, name: str) -> Callable[..., Any]:
        method = getattr(self._callbacks, name)
        is_keras_own = type(self._callbacks) is keras.callbacks.CallbackList and name not in vars(self._callbacks)

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self:
                return method(*args, **kwargs)

        def if_heard(*args: Any, **kwargs: Any) -> Any:
            # Keras reads the logs of each batch, and hands them to a thread, where nobody listens too.
            return watched(*args, **kwargs) if _is_heard(self._callbacks, name) else None

        return if_heard if "batch" in name and is_keras_own else watched

    def _then_last(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def ended(*args: Any, **kwargs: Any) -> Any:
            method(*args, **kwargs)
            while self._last:
                self._last.pop(0)()

        return ended


class _Step:
    """The train or test function of a model under guard."""

    def __init__(self, guard: Guard, name: str) -> None:
        self.guard = guard
        self.name = name
        self.function = getattr(guard.model, name)

    def __call__(self, iterator: Any) -> Any:
        if self.guard.is_present():
            with self.guard:
                return self._counted(iterator)
        # Left over from a fit that failed where nothing could be watched: in another callback's on_train_begin.
        self.guard.release()
        getattr(self.guard.model, f"make_{self.name}")()
        return getattr(self.guard.model, self.name)(iterator)

    def _counted(self, iterator: Any) -> Any:
        if self.name == "test_function":
            return self.function(iterator)
        try:
            logs = self.function(iterator)
        except _END_OF_DATA:
            self.guard.ran_out = True
            raise
        self.guard.steps += 1
        self.guard.ran_out = False
        return logs


def _fit(model: keras.Model) -> Any:
    return getattr(model, "history", None)


def _methods(callbacks: Any) -> list[str]:
    return [name for name in dir(callbacks) if name.startswith("on_")]


def _is_heard(callbacks: Any, name: str) -> bool:
    """Whether one of the callbacks does anything when the list's method is called."""
    names = (name, name.replace("_train_", "_"))  # the default one calls the older one
    return any(not _is_default(getattr(each, method)) for each in callbacks.callbacks for method in names)


def _is_default(method: Any) -> bool:
    return getattr(method, "_is_default", False)  # as Keras marks those of its base class


def running_callbacks() -> keras.callbacks.CallbackList | None:
    """The list that is calling: Keras hands a callback the model, and not the list that it is in."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList):
            return caller
        frame = frame.f_back
    return None


def stand_first(callback: keras.callbacks.Callback) -> None:
    """Has a callback come before all others of the list that is calling it, from the next call on.

    What it adds to the logs is there for those that write them or go by them.
    """
    running = running_callbacks()
    if running is not None:  # a new list: Keras is going through the old one
        running.callbacks = [callback, *(each for each in running.callbacks if each is not callback)]
