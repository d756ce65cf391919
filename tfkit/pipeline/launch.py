"""launch: one script in several processes of this machine that train together, all begun again when one dies."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tfkit.cluster import VARIABLE, Cluster, cluster_here, require_free
from tfkit.errors import ParameterError, RecipeError
from tfkit.progress import say

_HOST = "127.0.0.1"
_LOCAL = {_HOST, "localhost"}
_POLL_SECONDS = 0.1
# What a process has to write down what it did, before it is killed.
_GRACE_SECONDS = 8.0
_FAILURE, _USAGE = 1, 2
_FRESH = "--fresh"
_PR_SET_PDEATHSIG = 1


def launch(script: str | Path, arguments: Sequence[str] = (), *, workers: int, restarts: int = 3) -> int:
    """Runs a script so many times, as `__main__`, with TF_CONFIG set, until all have finished.

    When one dies, all are ended and begun again: a training goes on where it was if the script keeps a backup, as a
    recipe does, whose option --fresh is for the first time alone. Each worker is at an address of its own on
    127.0.0.1, or at those of TF_CONFIG where that is set here. GPUs are shared out evenly. What a worker prints has
    its name before each line.

    Args:
        script: The script.
        arguments: Its arguments.
        workers: Number of processes, at least 1.
        restarts: How often all are begun again.

    Returns:
        The exit status: 0 when all finished; 2 where one ended so, as for a mistake, which is not tried again; else 1.

    Raises:
        RecipeError: There is no such script.
        ParameterError: TF_CONFIG is malformed, names another number of workers or another machine, or an address of
            it is in use.
        KeyboardInterrupt: On Ctrl-C, when all have ended.
    """
    if not Path(script).is_file():
        raise RecipeError(f"there is no recipe script {str(script)!r}")
    for left in range(restarts, -1, -1):
        status = _run([sys.executable, str(script), *arguments], _clusters(workers))
        if status in (0, _USAGE):
            return status
        arguments = [each for each in arguments if each != _FRESH]  # what is begun again goes on
        say(f"launch: all are begun again ({left} times more)" if left else "launch: no restart is left")
    return _FAILURE


def _clusters(workers: int) -> list[Cluster]:
    """One for each worker, at addresses that are free now."""
    given = cluster_here()
    jobs: Mapping[str, Sequence[str]] = {"worker": _free_addresses(workers)} if given is None else given.jobs
    if given is not None:
        _check_given(given, workers)
    return [Cluster(jobs, job, index) for job, addresses in jobs.items() for index in range(len(addresses))]


def _check_given(given: Cluster, workers: int) -> None:
    if len(given.addresses) != workers:
        raise ParameterError(f"{VARIABLE} names {len(given.addresses)} workers, and --workers is {workers}: unset one")
    for address in given.addresses:
        if address.rpartition(":")[0] not in _LOCAL:
            raise ParameterError(
                f"{VARIABLE} names {address}, which is another machine: launch starts processes on this one; "
                "there, run the script itself on each machine"
            )
        require_free(address)


def _free_addresses(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((_HOST, 0))
        return [f"{_HOST}:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _run(command: Sequence[str], clusters: Sequence[Cluster]) -> int:
    """Runs all workers until all have finished or one has failed; whatever happens, none is left."""
    workers: list[_Worker] = []
    try:
        for number, cluster in enumerate(clusters):
            workers.append(_Worker(command, cluster, _gpus(number, len(clusters))))
        failed = _first_failure(workers)
    except KeyboardInterrupt:
        _end(workers, signal.SIGINT)
        say("launch: interrupted; all workers have ended")
        raise
    finally:
        _end(workers, signal.SIGTERM)
    if failed is None:
        return 0
    say(f"launch: {failed.name} {failed.death}")
    return failed.status


def _first_failure(workers: Sequence[_Worker]) -> _Worker | None:
    while True:
        ended = [each for each in workers if each.process.poll() is not None]
        failed = [each for each in ended if each.status]
        if failed or len(ended) == len(workers):
            return failed[0] if failed else None
        time.sleep(_POLL_SECONDS)


def _end(workers: Sequence[_Worker], number: signal.Signals) -> None:
    """Ends all workers that run, by a signal, then by SIGKILL; another Ctrl-C is for SIGKILL at once."""
    try:
        for each in workers:
            each.send(number)
        until = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < until and any(each.process.poll() is None for each in workers):
            time.sleep(_POLL_SECONDS)
    finally:
        for each in workers:
            each.send(signal.SIGKILL)
            each.process.wait()
            each.printer.join(1.0)


class _Worker:
    """One process. What it prints is printed with its name before each line."""

    def __init__(self, command: Sequence[str], cluster: Cluster, gpus: Mapping[str, str]) -> None:
        self.name = cluster.name
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **gpus, VARIABLE: cluster.variable(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C comes to this process alone, which passes it on
            preexec_fn=_dying_with_its_parent(),
        )
        self.printer = threading.Thread(target=self._print, daemon=True)
        self.printer.start()

    @property
    def status(self) -> int:
        return self.process.returncode

    @property
    def death(self) -> str:
        if self.status > 0:
            return f"ended with exit status {self.status}"
        return f"was ended by signal {-self.status} ({signal.Signals(-self.status).name})"

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process and all that it started, if it runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _print(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                print(f"[{self.name}] {line.rstrip()}", flush=True)


def _dying_with_its_parent() -> Callable[[], None] | None:
    """What a child does first, so that Linux kills it when this process dies, also by kill -9."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _gpus(number: int, workers: int) -> dict[str, str]:
    """A worker's even share of the GPUs; none where there are fewer than workers."""
    name = "CUDA_VISIBLE_DEVICES"
    found = sorted(each.name[6:] for each in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", each.name))
    visible = [each for each in os.environ.get(name, ",".join(found)).split(",") if each not in ("", "-1")]
    if not visible:
        return {}
    share = len(visible) // workers
    return {name: ",".join(visible[number * share : (number + 1) * share]) or "-1"}
