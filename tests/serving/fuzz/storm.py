"""Sends mutated requests to a server and watches what it does."""

import contextlib
import re
import socket
import time
from collections import Counter
from dataclasses import dataclass, field

from mutations import requests

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


@dataclass
class Outcome:
    """What a storm came to.

    Attributes:
        statuses: how often each status was answered; 0 for none.
        faults: requests that were answered with a 5xx other than 501 and 503, with the answer.
        slowest: the longest time to an answer, in seconds.
    """

    statuses: Counter = field(default_factory=Counter)
    faults: list = field(default_factory=list)
    slowest: float = 0.0


def storm(port, seed, count, patience=0.1):
    """Send requests one by one, each on a connection of its own that the client half-closes.

    Args:
        port: where the server listens on 127.0.0.1.
        seed, count: of the requests.
        patience: how long to wait for more bytes once an answer has begun.
    """
    outcome = Outcome()
    for request in requests(seed, count):
        started = time.monotonic()
        reply = _exchange(port, request, patience)
        # The first byte of the answer counts: a connection that stays open for the next request is no answer.
        outcome.slowest = max(outcome.slowest, reply[1] - started if reply[0] else 0.0)
        match = _STATUS.match(reply[0])
        status = int(match[1]) if match else 0
        outcome.statuses[status] += 1
        if status >= 500 and status not in (501, 503):
            outcome.faults.append((request, reply[0]))
    return outcome


def _exchange(port, request, patience):
    got, first = b"", time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, contextlib.suppress(OSError):
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 16):
            if not got:
                first = time.monotonic()
                connection.settimeout(patience)
            got += part
    return got, first
