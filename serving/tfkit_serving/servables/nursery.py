"""Nursery: a process that has imported TensorFlow, and forks one for each version within milliseconds."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

from tfkit_serving.protocol.errors import ServingError

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 3
_READY_SECONDS = 120.0
_FORK_SECONDS = 30.0
_EXIT_SECONDS = 1.0
_REMEMBERED = 256
_SOURCE_ROOT = Path(__file__).parents[2]


class Nursery:
    """Forks processes that have imported TensorFlow and initialised nothing of it.

    It is a process of its own, so the server imports no TensorFlow, and a fork copies none of the server's threads. It
    ends with the server, is started again when it dies, and the versions' processes live on without it.

    Example:
        >>> nursery = Nursery()  # doctest: +SKIP
        >>> [connection], pid = await nursery.fork()  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._control: socket.socket | None = None
        self._forking = asyncio.Lock()
        self._answers: asyncio.Queue[dict[str, int]] = asyncio.Queue()
        self._ready: asyncio.Future[None] | None = None
        self._ended: OrderedDict[int, int] = OrderedDict()
        self._news = asyncio.Event()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Its process, or None before the first fork and after `close`."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts the process; `fork` does it where nobody has.

        Raises:
            ServingError: The system has no fork.
        """
        if self._process is not None or self._closed:
            return
        if not hasattr(os, "fork"):
            raise ServingError("UNIMPLEMENTED", "serving takes a system with fork, as Linux and macOS have")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tfkit_serving.servables.nursery_main", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the server, which lets requests finish
            )
        self._control = ours
        self._ready = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(_retrieved)
        self._answers = asyncio.Queue()
        self._reader = asyncio.create_task(self._read(ours, self._process, self._ready))

    async def fork(self, count: int = 1) -> tuple[list[socket.socket], int]:
        """Forks a process that serves one end of each of some connections (see `child.serve`).

        Args:
            count: How many connections, at most 64.

        Returns:
            The other ends, non-blocking, and the process's id.

        Raises:
            ServingError: UNAVAILABLE: no process could be forked, with the reason.
        """
        forking = asyncio.create_task(self._fork_by_turns(count))
        try:
            return await asyncio.shield(forking)
        except asyncio.CancelledError:
            forking.add_done_callback(_let_go)
            raise

    async def exit_status(self, pid: int) -> int | None:
        """How a forked process ended: as subprocess says it, -9 for SIGKILL; None where that is not known."""
        deadline = asyncio.get_running_loop().time() + _EXIT_SECONDS
        while pid not in self._ended:
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except asyncio.TimeoutError:
                return None
        return self._ended[pid]

    def has_ended(self, pid: int) -> bool:
        """Whether a forked process is known to have ended: its number may be another's by now."""
        return pid in self._ended

    async def close(self) -> None:
        """Ends the process. Those that it has forked end with their connections."""
        self._closed = True
        self._kill()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _fork_by_turns(self, count: int) -> tuple[list[socket.socket], int]:
        error: Exception | None = None
        async with self._forking:
            for _ in range(_ATTEMPTS):
                if self._closed:
                    break
                try:
                    return await self._fork(count)
                except (ConnectionError, asyncio.TimeoutError) as failed:
                    error = failed
                    self._kill()
                    await asyncio.sleep(0.1)
        reason = str(error) or type(error).__name__ if error else "the server is stopping"
        raise ServingError("UNAVAILABLE", f"no process could be started for a version: {reason}")

    async def _fork(self, count: int) -> tuple[list[socket.socket], int]:
        self.start()
        control, ready = self._control, self._ready
        assert control is not None
        assert ready is not None
        await asyncio.wait_for(asyncio.shield(ready), _READY_SECONDS)
        pairs = [socket.socketpair() for _ in range(count)]
        ours, theirs = [each[0] for each in pairs], [each[1] for each in pairs]
        try:
            socket.send_fds(control, [b"fork\n"], [each.fileno() for each in theirs])
            answer = await asyncio.wait_for(self._answers.get(), _FORK_SECONDS)
            if "forked" not in answer:
                raise ConnectionError("the process that forks them has ended")
        except BaseException:
            _close(ours)
            raise
        finally:
            _close(theirs)
        for each in ours:
            each.setblocking(False)
        self._ended.pop(answer["forked"], None)
        return ours, answer["forked"]

    async def _read(
        self, control: socket.socket, process: subprocess.Popen[bytes], ready: asyncio.Future[None]
    ) -> None:
        reason = "the process that imports TensorFlow has ended"
        reader, writer = await asyncio.open_unix_connection(sock=control.dup())
        try:
            while line := await reader.readline():
                message = json.loads(line)
                reason = message.get("failed", reason)
                self._hear(message, ready)
        except (ConnectionError, ValueError) as error:
            _LOG.debug("the nursery's socket: %s", error)
        finally:
            writer.close()
            control.close()
            if not ready.done():
                ready.set_exception(ConnectionError(reason))
            self._answers.put_nowait({})
            if self._process is process:
                self._process = None
            process.kill()
            await asyncio.to_thread(process.wait)
        if not self._closed:
            _LOG.warning("the nursery %d has ended: %s; another starts with the next version", process.pid, reason)

    def _hear(self, message: dict[str, int], ready: asyncio.Future[None]) -> None:
        if "ready" in message and not ready.done():
            ready.set_result(None)
        if "forked" in message:
            self._answers.put_nowait(message)
        if "ended" in message:
            self._ended[message["ended"]] = message["status"]
            while len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)
            self._news.set()
            self._news = asyncio.Event()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process = None


def environment() -> dict[str, str]:
    """The server's environment for a process, this package where Python finds it and TensorFlow's chatter off."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")}
    path = os.pathsep.join(filter(None, [str(_SOURCE_ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **quiet, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def _let_go(forking: asyncio.Task[tuple[list[socket.socket], int]]) -> None:
    """Closes connections that nobody waits for: their process ends with them."""
    if not forking.cancelled() and forking.exception() is None:
        _close(forking.result()[0])


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _retrieved(future: asyncio.Future[None]) -> None:
    """Nobody may have waited for it: its error is no news then."""
    if not future.cancelled():
        future.exception()
