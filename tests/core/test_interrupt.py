"""A Ctrl-C that Python drops is raised again."""

import signal
import sys
import time
import weakref

import pytest

from tfkit.interrupt import heard_interrupts


class Referent:
    pass


def interrupt_in_a_weakref_callback():
    """What TensorFlow's tracing does to a Ctrl-C at an unlucky moment."""
    referent = Referent()
    reference = weakref.ref(referent, lambda _: signal.raise_signal(signal.SIGINT))
    del referent
    assert reference() is None


def test_an_interrupt_that_was_dropped_is_heard():
    with heard_interrupts():
        interrupt_in_a_weakref_callback()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)


def test_other_errors_that_cannot_be_raised_go_where_they_went(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    with heard_interrupts():
        referent = Referent()
        reference = weakref.ref(referent, lambda _: 1 / 0)
        del referent
    assert reference() is None
    assert [each.exc_type for each in seen] == [ZeroDivisionError]
    assert sys.unraisablehook == seen.append
