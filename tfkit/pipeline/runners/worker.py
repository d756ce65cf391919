"""Worker: a child process that runs trials, seen from its parent."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tfkit import child, memory
from tfkit.pipeline.runners.protocol import TrialRequest

# A message has been begun and does not end: its sender was stopped in the midst of it.
_STUCK_SECONDS = 10
# Importing a framework keeps Python's lock for long at a time.
_START_SECONDS = 120.0
_TAIL_LINES = 20


@dataclass(frozen=True)
class Terms:
    """What holds for all workers of a search.

    Attributes:
        folder: Where the task is, and where their logs go.
        threads: Threads that each may compute with.
        heartbeat: Seconds between two signs of life.
        set_up: "module:function" that each calls first with `threads`, or None.
        memory: Bytes that each may hold.
    """

    folder: Path
    threads: int
    heartbeat: float
    set_up: str | None
    memory: int

    def write(self) -> None:
        """Writes down what a child needs to know."""
        known = {"path": sys.path, "threads": self.threads, "heartbeat": self.heartbeat, "set_up": self.set_up}
        (self.folder / "terms.json").write_text(json.dumps(known))


class Worker:
    """A child process that runs one trial after another.

    Args:
        terms: What holds for all.
        number: Its number, from 0; two that live have different ones.
        gpus: The ids of the GPUs, of which it gets one.

    Attributes:
        number: As given.
        connection: Where it is heard.
        request: What it is running, or None.
        since: `time.monotonic()` at which that began.
    """

    def __init__(self, terms: Terms, number: int, gpus: list[str]) -> None:
        self.number = number
        self.request: TrialRequest | None = None
        self.since = self._heard = time.monotonic()
        self._terms = terms
        self._ready = False
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _STUCK_SECONDS, 0))
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _STUCK_SECONDS, 0))
            self.connection = Connection(ours.detach())
            self._process = self._started(theirs.fileno(), _environment(terms, number, gpus))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_starting(self) -> bool:
        """Whether it has not read the task yet."""
        return not self._ready

    def run(self, request: TrialRequest) -> None:
        """Has it run a trial; OSError where it is gone."""
        self.request, self.since = request, time.monotonic()
        self.connection.send(("trial", request))

    def answer(self, kind: str, value: Any) -> None:
        """Answers a question of its trial; one that is gone is heard of later."""
        try:
            self.connection.send((kind, value))
        except OSError:
            return

    def hear(self) -> tuple[str, Any]:
        """Its next message; raises EOFError or OSError where it is gone."""
        kind, value = self.connection.recv()
        self._heard = time.monotonic()
        if kind == "ready":
            self._ready = True
            self.since = self._heard
        return kind, value

    def is_silent(self) -> bool:
        """Whether it gives no sign of life any more."""
        patience = 2 * self._terms.heartbeat
        return time.monotonic() - self._heard > (patience if self._ready else max(patience, _START_SECONDS))

    def is_late(self) -> bool:
        """Whether its trial takes longer than it may; starting the process does not count."""
        if self.request is None or self.request.timeout is None or not self._ready:
            return False
        return time.monotonic() - self.since > self.request.timeout

    def memory(self) -> int:
        """Bytes that it holds for itself; 0 where that is not known."""
        return memory.held(self.pid) or 0

    def death(self) -> str:
        """How it has ended, after it was heard no more, in words such as "died (signal 9)"."""
        try:
            status = self._process.wait(_STUCK_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        return f"died (signal {-status})" if status < 0 else f"ended with exit status {status}"

    def tail(self) -> str:
        """The end of what it has printed."""
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(line[:300] for line in lines)

    def close(self) -> None:
        """Ends the process with all that it has started."""
        child.kill(self._process)
        self.connection.close()

    @property
    def _log(self) -> Path:
        return self._terms.folder / f"worker-{self.number}.log"

    def _started(self, descriptor: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, str(child.MAIN), str(os.getpid()), "trials", str(self._terms.folder), str(descriptor)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                pass_fds=[descriptor],
                start_new_session=True,  # a Ctrl-C of the terminal is its parent's to handle
            )


def _environment(terms: Terms, number: int, gpus: list[str]) -> dict[str, str]:
    environment = {**child.environment_of_child(cpu_only=False), "OMP_NUM_THREADS": str(terms.threads)}
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return environment
