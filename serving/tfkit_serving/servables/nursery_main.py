"""The nursery's process: `python -m tfkit_serving.servables.nursery_main FD`. Imports TensorFlow once, then forks.

On the socket FD each line `fork` comes with the descriptors that the new process serves; the answer is a line of JSON.
Ends of forked processes are told as lines too. The process ends with its socket.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

Serve = Callable[[list[socket.socket]], None]

MAX_CONNECTIONS = 64


def main() -> None:
    """Serves the descriptor named by the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    # TensorFlow imports Keras where it is, and that scikit-learn: a second and 80 MB for what no graph needs.
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        with _quiet():
            from tfkit_serving.servables.child import serve
    except ImportError as error:
        _tell(control, failed=f"{type(error).__name__}: {error}")
        sys.exit(1)
    gc.collect()
    gc.freeze()  # what a collection never looks through stays shared between the processes
    _tell(control, ready=os.getpid())
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([control, woken], [], [])
        if woken in readable:
            woken.recv(4096)
            _reap(control)
        if control in readable:
            _fork_if_asked(control, serve, [woken, waker])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops what TensorFlow's libraries write to stderr as they are loaded, whatever the log level."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _fork_if_asked(control: socket.socket, serve: Serve, own: list[socket.socket]) -> None:
    try:
        data, descriptors, _, _ = socket.recv_fds(control, 5, MAX_CONNECTIONS)
    except ConnectionResetError:  # the server was killed
        os._exit(0)
    if not data:
        os._exit(0)
    if not descriptors:
        return
    connections = [socket.socket(fileno=each) for each in descriptors]
    pid = os.fork()
    if pid == 0:
        _become(connections, serve, [control, *own])
    for each in connections:
        each.close()
    _tell(control, forked=pid)


def _become(connections: list[socket.socket], serve: Serve, inherited: list[socket.socket]) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in inherited:
            each.close()
        serve(connections)
        status = 0
    except BaseException as error:
        print(f"a version's process failed: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(status)


def _reap(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(control, ended=pid, status=os.waitstatus_to_exitcode(status))


def _tell(control: socket.socket, **message: Any) -> None:
    try:
        control.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        os._exit(0)


if __name__ == "__main__":
    main()
