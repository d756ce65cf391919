"""launch: one script in several processes of this machine that train together, all begun again when one dies."""

from __future__ import annotations

import contextlib
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
from tfkit.reasons import signal_text

_HOST = "127.0.0.1"
_LOCAL = {_HOST, "localhost"}
_POLL_SECONDS = 0.1
# What a process has to write down what it did, before it is killed.
_GRACE_SECONDS = 8.0
_FAILURE, _USAGE = 1, 2
_FRESH = "--fresh"
_GPUS = "CUDA_VISIBLE_DEVICES"
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
        The exit status: 0 when all finished; 2 where one ended so, as for a mistake, which is not tried again unless
        an address that was chosen here is in use by then; else 1.

    Raises:
        RecipeError: There is no such script.
        ParameterError: TF_CONFIG is malformed, names another number of workers or another machine, or an address of
            it is in use.
        KeyboardInterrupt: On Ctrl-C, when all have ended.
    """
    if not Path(script).is_file():
        raise RecipeError(f"there is no recipe script {str(script)!r}")
    _warn_of_gpus(workers)
    for left in range(restarts, -1, -1):
        clusters = _clusters(workers)
        status = _run([sys.executable, str(script), *arguments], clusters)
        if status == 0 or (status == _USAGE and not _lost_an_address(clusters)):
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


def _lost_an_address(clusters: Sequence[Cluster]) -> bool:
    """Whether another process has taken an address that was chosen here, between its choice and its use."""
    if cluster_here() is not None:
        return False
    try:
        for each in clusters:
            require_free(each.address)
    except ParameterError as error:
        say(f"launch: {error}")
        return True
    return False


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
    return failed.status or 0


def _first_failure(workers: Sequence[_Worker]) -> _Worker | None:
    while not any(found := [each.status for each in workers]):
        if None not in found:
            return None
        time.sleep(_POLL_SECONDS)
    time.sleep(_POLL_SECONDS)  # one that fails takes others with it, and need not be the first that is seen
    return min((each for each in workers if each.status), key=_blame)


def _blame(worker: _Worker) -> int:
    """The less, the likelier the others have failed because of it: by a mistake, a signal, or else."""
    if worker.status == _USAGE:
        return 0
    return 1 if (worker.status or 0) < 0 else 2


def _end(workers: Sequence[_Worker], number: signal.Signals) -> None:
    """Ends all workers that run, by a signal, then by SIGKILL; another Ctrl-C is for SIGKILL at once."""
    try:
        for each in workers:
            each.send(number)
        until = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < until and any(each.status is None for each in workers):
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
    def status(self) -> int | None:
        """As `Popen.returncode`. The process is not waited for, so that its number stays that of its group alone."""
        if self.process.returncode is not None or not hasattr(os, "waitid"):
            return self.process.poll()
        found = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    @property
    def death(self) -> str:
        status = self.status or 0
        if status > 0:
            return f"ended with exit status {status}"
        return f"was ended by signal {signal_text(-status)}"

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process and to all that it started, which may outlive it."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def _print(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            is_heard = True
            for line in self.process.stdout:  # to the end: a worker waits where nobody reads what it prints
                is_heard = is_heard and _printed(f"[{self.name}] {line.rstrip()}")


def _printed(line: str) -> bool:
    """Prints a line; False where nobody listens any more, as after `| head`."""
    try:
        print(line, flush=True)
    except (OSError, ValueError):
        return False
    return True


def _dying_with_its_parent() -> Callable[[], None] | None:
    """What a child does first, so that Linux kills it when this process dies, also by kill -9."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _gpus(number: int, workers: int) -> dict[str, str]:
    """A worker's even share of the GPUs; none where there are fewer than workers."""
    visible = _visible_gpus()
    if not visible:
        return {}
    share = len(visible) // workers
    return {_GPUS: ",".join(visible[number * share : (number + 1) * share]) or "-1"}


def _warn_of_gpus(workers: int) -> None:
    count = len(_visible_gpus())
    if 0 < count < workers:
        say(f"launch: {count} GPU(s) for {workers} workers: all train on the CPU; --workers {count} has one for each")


def _visible_gpus() -> list[str]:
    found = sorted(each.name[6:] for each in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", each.name))
    return [each for each in os.environ.get(_GPUS, ",".join(found)).split(",") if each not in ("", "-1")]
