"""Ctrl-C that is heard: Python and C code drop an exception that is raised in some places."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

_AGAIN_SECONDS = 0.05
# Where nobody says that it was dropped: how long it may take until somebody handles it.
_UNHEARD_SECONDS = 1.0


@contextlib.contextmanager
def heard_interrupts() -> Iterator[None]:
    """Raises a KeyboardInterrupt again that was dropped, until it is heard.

    TensorFlow runs many weakref callbacks while it traces a function; a Ctrl-C that falls into one of them is printed
    as "Exception ignored in" and lost. One that falls into a property which C code asks for is lost without a word.
    Who catches a KeyboardInterrupt inside the block and goes on says so by `heard`.

    Example:
        >>> with heard_interrupts():
        ...     pass
    """
    with _dropped_are_raised_again(), _unheard_are_raised_again():
        yield


def heard() -> None:
    """Says that a Ctrl-C was caught and is not to be raised again."""
    for each in _insisting:
        each.rest()


@contextlib.contextmanager
def _dropped_are_raised_again() -> Iterator[None]:
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            before(unraisable)
            return
        # Later, and from outside: raised in here it would be dropped again.
        again = threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main)
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def _unheard_are_raised_again() -> Iterator[None]:
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # a handler of one's own, or that of a block around this one
        return
    insistence = _Insistence()
    _insisting.append(insistence)
    signal.signal(signal.SIGINT, insistence.handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _insisting.remove(insistence)
        insistence.rest()


class _Insistence:
    """A handler of SIGINT that raises KeyboardInterrupt, and again where the main thread goes on as if nothing was."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None
        # The handler may run in the midst of `rest`, in the same thread.
        self._lock = threading.RLock()

    def handle(self, *_: Any) -> NoReturn:
        self._wait()
        raise KeyboardInterrupt

    def rest(self) -> None:
        """Raises nothing more."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _wait(self) -> None:
        with self._lock:
            self.rest()
            self._timer = threading.Timer(_UNHEARD_SECONDS, self._look)
            self._timer.daemon = True
            self._timer.start()

    def _look(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return
            if _is_being_handled():  # what is cleaned up may take its time
                self._wait()
            else:
                _thread.interrupt_main()


def _is_being_handled() -> bool:
    """Whether the main thread is in an except or finally clause on account of a KeyboardInterrupt."""
    found: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    error = found[1] if isinstance(found, tuple) else found
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


_insisting: list[_Insistence] = []
