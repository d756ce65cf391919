"""call: one function in a child process that is kept for the next one, since importing a framework takes seconds."""

from __future__ import annotations

import atexit
import os
import selectors
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tfkit import child

# It ends by itself after so many seconds without work, and is replaced after so many calls: frameworks leak.
_IDLE = 120.0
_CALLS = 40
# What pytest tells onlookers, at every step of every test: it changes nothing for a child.
_ASIDE = "PYTEST_CURRENT_TEST"


class Worker:
    """A process that answers one request after another.

    Args:
        environment: Its environment variables.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.situation = _situation(environment)
        self.calls = 0
        self._process = subprocess.Popen(
            [sys.executable, str(child.MAIN), str(os.getpid()), "serve", str(_IDLE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def is_ready(self, environment: dict[str, str]) -> bool:
        """Whether it can take a call for a caller as it is now."""
        return self._process.poll() is None and self.calls < _CALLS and self.situation == _situation(environment)

    def run(self, folder: Path, timeout: float) -> int:
        """Has it answer the request in a folder.

        Args:
            folder: Where `request.json` is.
            timeout: Seconds until it is killed.

        Returns:
            0, or the exit status of a process that ended over it.

        Raises:
            subprocess.TimeoutExpired: It took too long.
        """
        self.calls += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{folder}\n".encode())
            self._process.stdin.flush()
            if not _answers(self._process.stdout, timeout):
                raise subprocess.TimeoutExpired("worker", timeout)
            return 0 if self._process.stdout.readline() else self._process.wait()
        except BrokenPipeError:
            return self._process.wait()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the process."""
        child.kill(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


_kept: list[Worker] = []
_lock = threading.Lock()


def call(target: str, *, timeout: float = 600.0, cpu_only: bool = True, what: str | None = None, **kwargs: Any) -> Any:
    """Calls a function as `tfkit.child.call` does, in a process that earlier calls may have left warm.

    The process is a new one after a crash or a hang, and where the environment has changed; it works in the caller's
    working directory of now.
    Calls from other threads than the main one, and those at the same time, get a process of their own.

    Args:
        target: As for `tfkit.child.call`; what it leaves behind in its process must not change the next call.
        timeout: As there, without the seconds that starting a process takes.
        cpu_only: As there.
        what: As there.
        **kwargs: As there.

    Raises:
        ConversionError: As there.
        TfkitError: As there.

    Example:
        >>> call("os:getpid") == call("os:getpid")
        True
    """
    given = {"timeout": timeout, "cpu_only": cpu_only, "what": what, **kwargs}
    is_main = threading.current_thread() is threading.main_thread()
    if os.name != "posix" or not is_main or not _lock.acquire(blocking=False):
        return child.call(target, **given)
    try:
        worker = _ready(child.environment_of_child(cpu_only))
        return child.answered(lambda folder: worker.run(folder, timeout), target, kwargs, what or f"calling {target}")
    finally:
        _lock.release()


def _ready(environment: dict[str, str]) -> Worker:
    """The worker that is kept, if it suits, else a new one in its place."""
    if _kept and not _kept[0].is_ready(environment):
        close()
    if not _kept:
        _kept.append(Worker(environment))
    return _kept[0]


def close() -> None:
    """Ends the worker, if there is one; the next call starts another."""
    while _kept:
        worker = _kept.pop()
        # After a fork the process is still the parent's.
        if worker.situation["owner"] == os.getpid():
            worker.close()


def _answers(pipe: Any, timeout: float) -> bool:
    """Whether there is something to read, or the other end is closed, within so many seconds."""
    with selectors.DefaultSelector() as selector:  # select.select takes no file descriptor above 1023
        selector.register(pipe, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def _situation(environment: dict[str, str]) -> dict[str, Any]:
    return {"environment": {**environment, _ASIDE: ""}, "owner": os.getpid()}


atexit.register(close)
