"""A Ctrl-C or a SIGTERM that Python drops is raised again."""

import contextlib
import signal
import sys
import time
import weakref

import pytest

from tfkit.interrupt import Terminated, heard, heard_interrupts, heard_terminations


class Referent:
    pass


def interrupt_in_a_weakref_callback(number):
    """What TensorFlow's tracing does to a Ctrl-C at an unlucky moment."""
    referent = Referent()
    reference = weakref.ref(referent, lambda _: signal.raise_signal(number))
    del referent
    assert reference() is None


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_interrupt_that_was_dropped_is_heard(number, error):
    with heard_interrupts(), heard_terminations():
        interrupt_in_a_weakref_callback(number)
        with pytest.raises(error):
            time.sleep(5)


class Swallowing:
    """A property that drops an interrupt, as C code does that asks whether an object has an attribute."""

    @property
    def shape(self):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_nobody_heard_is_raised_again():
    with heard_interrupts():
        assert Swallowing().shape is None
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_was_heard_or_is_being_cleaned_up_after_is_not_raised_again():
    ended = []
    with heard_interrupts():
        try:
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                time.sleep(1.3)
                ended.append("cleaned up")
        except KeyboardInterrupt:
            with heard_interrupts():  # as inside a search inside a run
                heard()
        time.sleep(1.2)
        ended.append("went on")
    assert ended == ["cleaned up", "went on"]


def test_a_second_sigterm_does_not_break_off_what_the_first_has_cleaned_up():
    ended = []

    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            ended.append("cleaned up")

    with pytest.raises(SystemExit) as caught, heard_terminations():
        work()
    assert (caught.value.code, ended) == (143, ["cleaned up"])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_programs_own_stays():
    got = []
    before = signal.signal(signal.SIGTERM, lambda *_: got.append("own"))
    try:
        with heard_terminations():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == ["own"]


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
