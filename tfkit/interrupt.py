"""Ctrl-C and SIGTERM that are heard: Python and C code drop an exception that is raised in some places."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_AGAIN_SECONDS = 0.05
# Where nobody says that it was dropped: how long it may take until somebody handles it.
_UNHEARD_SECONDS = 1.0


class Terminated(SystemExit):
    """SIGTERM came: the process ends with status 143, as a shell tells it, once what is open is closed."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@dataclass(frozen=True)
class _Kind:
    """A signal that becomes an exception.

    Attributes:
        number: The signal.
        error: The exception.
        default: The handler that is replaced; any other stays.
    """

    number: signal.Signals
    error: type[BaseException]
    default: Any


_CTRL_C = _Kind(signal.SIGINT, KeyboardInterrupt, signal.default_int_handler)
_SIGTERM = _Kind(signal.SIGTERM, Terminated, signal.SIG_DFL)


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
    with _raised_again(_CTRL_C):
        yield


@contextlib.contextmanager
def heard_terminations() -> Iterator[None]:
    """Raises Terminated on SIGTERM, which else ends the process with no word, and again where it was dropped.

    A handler that the program has set itself stays. While what is open is closed, another SIGTERM changes nothing.

    Example:
        >>> with heard_terminations():
        ...     pass
    """
    with _raised_again(_SIGTERM):
        yield


def heard() -> None:
    """Says that a Ctrl-C was caught and is not to be raised again."""
    for each in _insisting:
        if each.kind is _CTRL_C:
            each.rest()


@contextlib.contextmanager
def _raised_again(kind: _Kind) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's, and blocks of several threads end in any order
        return
    with _dropped_are_raised_again(kind), _unheard_are_raised_again(kind):
        yield


@contextlib.contextmanager
def _dropped_are_raised_again(kind: _Kind) -> Iterator[None]:
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if unraisable.exc_type is not kind.error:
            before(unraisable)
            return
        # Later, and from outside: raised in here it would be dropped again.
        again = threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main, [kind.number])
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def _unheard_are_raised_again(kind: _Kind) -> Iterator[None]:
    if signal.getsignal(kind.number) is not kind.default:
        yield  # a handler of one's own, or that of a block around this one
        return
    insistence = _Insistence(kind)
    _insisting.append(insistence)
    signal.signal(kind.number, insistence.handle)
    try:
        yield
    finally:
        signal.signal(kind.number, kind.default)
        _insisting.remove(insistence)
        insistence.rest()


class _Insistence:
    """A handler that raises a signal's exception, and again where the main thread goes on as if nothing was."""

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self._timer: threading.Timer | None = None
        # The handler may run in the midst of `rest`, in the same thread.
        self._lock = threading.RLock()

    def handle(self, *_: Any) -> None:
        """The handler."""
        if self.kind is _SIGTERM and _is_being_handled(Terminated):
            return  # who sends it to a whole group of processes may send it twice
        self._wait()
        raise self.kind.error

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
            if _is_being_handled(self.kind.error):  # what is cleaned up may take its time
                self._wait()
            else:
                _thread.interrupt_main(self.kind.number)


def _is_being_handled(kind: type[BaseException]) -> bool:
    """Whether the main thread is in an except or finally clause on account of an exception of that kind."""
    found: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    error = found[1] if isinstance(found, tuple) else found
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__context__
    return False


_insisting: list[_Insistence] = []
