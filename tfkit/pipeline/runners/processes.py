"""Processes, the runner in child processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tfkit import memory
from tfkit.errors import ParameterError, SearchError
from tfkit.parameters import Gt
from tfkit.pipeline.runners.protocol import INVALID, Listener, Outcome, Task, TrialRequest
from tfkit.pipeline.runners.shipped import check_picklable, ship
from tfkit.pipeline.runners.worker import Terms, Worker

FOLDER = "search.workers"
_LOOK_SECONDS = 0.5
# What a trial may leave behind, of the memory that its worker may hold, without the worker being replaced.
_LEFT_BEHIND = 0.5
# Workers in a row that end before they can run a trial.
_STILLBORN = 3


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    """What `workers=("processes", {…})` takes."""

    count: Annotated[int, Gt(0), "Trials that run at once."]
    heartbeat: Annotated[
        float, Gt(0), "Seconds between a worker's signs of life; after two without it is replaced."
    ] = 5.0
    memory: Annotated[int | None, Gt(0), "Bytes a worker may hold; None for the machine's by count + 1."] = None


class Processes:
    """Runs trials in child processes, and replaces those that die, hang or grow.

    A worker that holds more than its share of memory while a trial runs is killed, and the trial has failed; one
    that holds more than half of it after a trial is replaced. Memory of data that the workers share does not count.

    Args:
        task: What the trials have in common.
        directory: The search's; a folder in it holds the task and the data until the runner is closed.
        options: How many, and what they may.
        gpus: The ids of the GPUs, which the workers get in turn.

    Raises:
        ParameterError: The task cannot be sent to a child, which is told here, or its data with the first trial.
    """

    def __init__(self, task: Task, directory: Path, options: ProcessOptions, gpus: list[str]) -> None:
        self._terms = Terms(
            folder=(directory / FOLDER).resolve(),
            threads=max(1, _cores() // options.count),
            heartbeat=options.heartbeat,
            set_up=task.set_up,
            memory=options.memory or memory.total() // (options.count + 1),
        )
        self._task = task
        self._count = options.count
        self._gpus = gpus
        self._workers: list[Worker] = []
        self._stillborn = 0
        self._look_seconds = min(_LOOK_SECONDS, options.heartbeat / 2)
        check_picklable(task)
        clear(directory)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that live."""
        return [worker.pid for worker in self._workers]

    def free(self) -> int:
        """How many trials can be started now."""
        idle = sum(worker.request is None for worker in self._workers)
        starting = sum(worker.is_starting for worker in self._workers)
        # Importing a framework takes a core for seconds: more at once than there are cores would only delay the first.
        return idle + max(0, min(self._count - len(self._workers), _cores() - starting))

    def start(self, request: TrialRequest) -> None:
        """Starts a trial, in a new process where no other waits for one."""
        worker = self._idle()
        # One that has died since is heard of when it is waited for.
        with contextlib.suppress(OSError):
            worker.run(request)

    def wait(self, listener: Listener) -> None:
        """Hears the workers, for a moment, and replaces those that are no good any more."""
        heard = multiprocessing.connection.wait([each.connection for each in self._workers], self._look_seconds)
        for worker in [each for each in self._workers if each.connection in heard]:
            self._hear(worker, listener)
        for worker in list(self._workers):
            self._look(worker, listener)

    def close(self) -> None:
        """Ends all workers and removes what they shared."""
        while self._workers:
            self._workers.pop().close()
        clear(self._terms.folder.parent)

    def _idle(self) -> Worker:
        for worker in self._workers:
            if worker.request is None:
                return worker
        if not self._terms.folder.exists():  # where no trial is due, nothing is sent
            ship(self._task, self._terms.folder)
            self._terms.write()
        taken = {worker.number for worker in self._workers}
        number = next(each for each in range(self._count) if each not in taken)
        self._workers.append(Worker(self._terms, number, self._gpus))
        return self._workers[-1]

    def _hear(self, worker: Worker, listener: Listener) -> None:
        """Takes in all that a worker has said."""
        while worker in self._workers:
            try:
                if not worker.connection.poll():
                    return
                kind, value = worker.hear()
            except (EOFError, ConnectionError, BlockingIOError):
                self._lose(worker, worker.death(), listener)
                return
            self._take(worker, kind, value, listener)

    def _take(self, worker: Worker, kind: str, value: Any, listener: Listener) -> None:
        request = worker.request
        if kind == "broken":
            raise ParameterError(f"a worker cannot begin: {value}")
        if kind == "ready":
            self._stillborn = 0
        if request is None:
            return
        if kind == "epoch":
            listener.epoch(request, *value)
        elif kind == "histories":
            worker.answer("histories", listener.histories())
        elif kind == "fatal":
            raise value
        elif kind == "ended":
            worker.request = None
            if worker.memory() > _LEFT_BEHIND * self._terms.memory:
                self._drop(worker)
            listener.ended(request, value)

    def _look(self, worker: Worker, listener: Listener) -> None:
        """Ends a worker that is no good any more."""
        if worker.connection.poll():  # it has said something while another one was heard
            return
        request, held = worker.request, worker.memory()
        if worker.is_silent():
            self._lose(worker, f"gave no sign of life for {2 * self._terms.heartbeat:g} s", listener)
        elif request is not None and held > self._terms.memory:
            self._drop(worker)
            text = (
                f"the worker held {held / 1e6:.0f} MB of memory, more than its share of {self._terms.memory / 1e6:.0f} "
                "MB, and was stopped: build smaller models, have fewer workers, or give each more memory"
            )
            listener.ended(request, Outcome(INVALID, request.hyperparameters, message=text, memory=held))
        elif request is not None and worker.is_late():
            self._drop(worker)
            listener.ended(request, request.too_slow())

    def _lose(self, worker: Worker, reason: str, listener: Listener) -> None:
        request, tail = worker.request, worker.tail()
        self._drop(worker)
        self._stillborn += worker.is_starting
        if self._stillborn == _STILLBORN:
            last = (tail.splitlines() or ["it has printed nothing"])[-1]
            raise SearchError(f"no worker can begin: {_STILLBORN} in a row {reason} before a trial; {last}")
        if request is None:
            return
        if worker.is_starting:
            listener.postponed(request)
        else:
            listener.lost(request, reason, tail)

    def _drop(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.close()


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def clear(directory: Path) -> None:
    """Removes what the workers of an earlier search have left, such as one that was killed."""
    shutil.rmtree(directory / FOLDER, ignore_errors=True)
