"""Ctrl-C that is heard: Python drops an exception that is raised in a destructor or a weakref's callback."""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

_AGAIN_SECONDS = 0.05


@contextlib.contextmanager
def heard_interrupts() -> Iterator[None]:
    """Raises a KeyboardInterrupt again that Python has dropped, until it is heard.

    TensorFlow runs many weakref callbacks while it traces a function; a Ctrl-C that falls into one of
    them is printed as "Exception ignored in" and lost.

    Example:
        >>> with heard_interrupts():
        ...     pass
    """
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
