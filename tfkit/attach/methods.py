"""Functions around a method of one object, such as the `call` of a layer, several at once, in any order of removal."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

Function = Callable[..., Any]

_MODE = threading.local()


def wrap_method(owner: Any, name: str, function: Function) -> None:
    """Has a function stand around a method of one object, and around what stands there already.

    Args:
        owner: The object; its class stays as it is.
        name: The method's name.
        function: Called as `function(method, *args, **kwargs)` with what is inside it as `method`.

    Example:
        >>> text = type("Text", (), {"read": lambda self: "a"})()
        >>> twice = lambda method: method() * 2
        >>> wrap_method(text, "read", twice)
        >>> text.read()
        'aa'
        >>> remove_from_method(text, "read", twice)
        >>> text.read()
        'a'
    """
    _wrapped(owner, name).around.append(function)


def replace_method(owner: Any, name: str, function: Function) -> None:
    """Has a function stand for a method of one object: what `wrap_method` put around it stays around it.

    Args:
        owner: As for `wrap_method`.
        name: As for `wrap_method`.
        function: As for `wrap_method`.
    """
    _wrapped(owner, name).inside.append(function)


def remove_from_method(owner: Any, name: str, function: Function) -> None:
    """Removes what `wrap_method` or `replace_method` added; the last one to go leaves the object as it was."""
    current = vars(owner).get(name)
    if not isinstance(current, _Wrapped) or function not in current.functions:
        return
    (current.around if function in current.around else current.inside).remove(function)
    if current.functions:
        return
    if current.own is None:
        del vars(owner)[name]
    else:
        vars(owner)[name] = current.own


def functions_of(owner: Any, name: str) -> list[Function]:
    """The functions that stand around a method of an object, the innermost first."""
    current = vars(owner).get(name)
    return current.functions if isinstance(current, _Wrapped) else []


@contextlib.contextmanager
def nothing_replaced() -> Iterator[None]:
    """Within it this thread calls methods past what `replace_method` put in their place; what is around them stays.

    A model that is its own teacher answers so as it was.

    Example:
        >>> text = type("Text", (), {"read": lambda self: "a"})()
        >>> replace_method(text, "read", lambda method: "b")
        >>> with nothing_replaced():
        ...     text.read()
        'a'
    """
    before = getattr(_MODE, "is_past", False)
    _MODE.is_past = True
    try:
        yield
    finally:
        _MODE.is_past = before


class _Wrapped:
    """A method, what stands in its place, and what stands around both, the innermost first."""

    def __init__(self, method: Function, own: Function | None) -> None:
        # Keras reads the names of a method's arguments.
        functools.update_wrapper(self, method)
        self.method = method
        self.own = own
        self.inside: list[Function] = []
        self.around: list[Function] = []

    @property
    def functions(self) -> list[Function]:
        return [*self.inside, *self.around]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = self.method
        for function in self.around if getattr(_MODE, "is_past", False) else self.functions:
            call = functools.partial(function, call)
        return call(*args, **kwargs)


def _wrapped(owner: Any, name: str) -> _Wrapped:
    current = vars(owner).get(name)
    if not isinstance(current, _Wrapped):
        # Past the owner's __setattr__, by which Keras tracks what it owns.
        current = vars(owner)[name] = _Wrapped(getattr(owner, name), current)
    return current
