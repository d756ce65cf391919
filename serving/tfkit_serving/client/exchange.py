"""Request, Call and Deadline: what a call is made of, whatever it travels by."""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tfkit_serving.protocol.errors import ServingError

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0
# Seconds: poll() takes milliseconds in 31 bits.
_LONGEST = 2.0e6


@dataclass(frozen=True)
class Request:
    """One message to a server.

    Attributes:
        target: A path with REST, a method's full name with gRPC.
        body: What is sent.
        verb: The HTTP verb.
    """

    target: str
    body: bytes = b""
    verb: str = "POST"


# Gives requests, takes the bodies of replies (a refusal is thrown into it), and returns the result.
Call: TypeAlias = Generator[Request, bytes, T]


class Deadline:
    """The end of the time that a call may take, with all of its requests, retries and waits.

    Args:
        seconds: How long it may take; None without a bound.
        where: The server's address, for the error.
    """

    def __init__(self, seconds: float | None, where: str) -> None:
        self._seconds, self._where = seconds, where
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds that are left; None without a bound.

        Raises:
            ServingError: DEADLINE_EXCEEDED: none are.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return min(left, _LONGEST)

    def allows(self, seconds: float) -> bool:
        """Whether a wait ends before it."""
        return self._end is None or time.monotonic() + seconds < self._end

    def passed(self) -> ServingError:
        """The error of who did not answer in time."""
        return ServingError("DEADLINE_EXCEEDED", f"no reply from {self._where} within {self._seconds:g} seconds")


def waits(retries: int) -> Iterator[float]:
    """Seconds to wait before each retry: doubled each time, and spread, so that clients do not come back as one.

    Example:
        >>> [0.05 <= each <= 0.4 for each in waits(3)]
        [True, True, True]
    """
    for index in range(retries):
        yield min(_FIRST_WAIT * 2**index, _LONGEST_WAIT) * random.uniform(0.5, 1.0)


def next_wait(error: ServingError, pending: Iterator[float], deadline: Deadline) -> float:
    """How long to wait before a request is sent again.

    Args:
        error: How it failed.
        pending: The waits that are left.
        deadline: Of the call.

    Returns:
        Seconds.

    Raises:
        ServingError: The error itself: it is of a kind that another try does not mend, or there is none left.
    """
    wait = next(pending, None) if error.code == "UNAVAILABLE" else None
    if wait is None or not deadline.allows(wait):
        raise error
    return wait
