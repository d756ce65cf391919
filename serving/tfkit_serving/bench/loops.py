"""Closed and open loops: when a connection that is free sends its next request.

In a closed loop every client asks again once it was answered: a slow server is asked less, and a stall of a second
costs one request a client. In an open loop requests come at a rate whatever the server does; those that find no free
connection wait, and their latency counts from when they were due, so that a stall shows in all of them (no coordinated
omission).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Protocol

from tfkit_serving.bench.histogram import Histogram
from tfkit_serving.bench.plan import Plan
from tfkit_serving.bench.record import Record

_TICK = 0.001  # an event loop's timers are no finer


class Connection(Protocol):
    """A connection to the server, with one request under way at most."""

    def send(self, body: bytes, due: int) -> None:
        """Sends a request; once it was answered, the connection calls `free` of its loop."""


class ClosedLoop:
    """Every connection sends again at once."""

    def __init__(self, plan: Plan, record: Record) -> None:
        self.record = record
        self.late = Histogram()
        self._bodies = itertools.cycle(plan.bodies)
        self._over = False

    def start(self) -> None:
        """Nothing: connections begin as they are free."""

    def free(self, connection: Connection) -> None:
        """Called by a connection that can send."""
        now = perf_counter_ns()
        if now < self.record.end and not self._over:
            connection.send(next(self._bodies), now)

    def stop(self) -> None:
        """No connection sends again."""
        self._over = True


class OpenLoop:
    """Requests are sent when they are due, or as soon after as a connection is free."""

    def __init__(self, plan: Plan, record: Record, seed: int | None = None) -> None:
        self.record = record
        self.late = Histogram()
        self._bodies = itertools.cycle(plan.bodies)
        self._due = _due_times(plan, perf_counter_ns(), record.end, random.Random(seed))
        self._next: int | None = next(self._due, None)
        self._idle: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._over = False

    def start(self) -> None:
        """Begins to send."""
        self._tick()

    def free(self, connection: Connection) -> None:
        """Called by a connection that can send: a request that waits is sent, counted from when it was due."""
        if self._waiting and not self._over:
            connection.send(next(self._bodies), self._waiting.popleft())
        else:
            self._idle.append(connection)

    def stop(self) -> None:
        """Ends the load: what still waits has failed."""
        self._over = True
        while self._waiting:
            self.record.error(self._waiting.popleft(), "not sent: the server was too slow for this rate")

    @property
    def waiting(self) -> bool:
        """Whether requests are due that no connection was free for."""
        return bool(self._waiting)

    def _tick(self) -> None:
        now = perf_counter_ns()
        while self._next is not None and self._next <= now:
            self._send(self._next, now)
            self._next = next(self._due, None)
        if self._next is not None and not self._over:
            asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _send(self, due: int, now: int) -> None:
        if not self._idle:
            self._waiting.append(due)
            return
        # A connection was free: what is late here is this program, not the server.
        self.late.record(now - due)
        self._idle.popleft().send(next(self._bodies), perf_counter_ns())


def _due_times(plan: Plan, begin: int, end: int, chance: random.Random) -> Iterator[int]:
    gap = 1e9 / (plan.rate or 1.0)
    due = float(begin)
    while True:
        due += chance.expovariate(1.0) * gap if plan.arrivals == "poisson" else gap
        if due >= end:
            return
        yield int(due)
