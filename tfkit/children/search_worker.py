"""What a worker of a search runs: trials that come over a socket, and signs of life."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pickle
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tfkit import memory
from tfkit.errors import SearchError
from tfkit.pipeline.runners.protocol import Figures, Histories, TrialRequest
from tfkit.reasons import reason


class Wire:
    """The connection to the parent, for the thread that trains and the one that beats; what a trial watches.

    Args:
        connection: Where the parent is.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: str, value: Any = None) -> None:
        """Sends a message whole; ends the process where there is no parent any more."""
        try:
            with self._lock:
                self._connection.send((kind, value))
        except OSError:
            os._exit(1)

    def receive(self, kind: str) -> Any:
        """The parent's next message, which is of this kind; ends the process where there is none."""
        try:
            received, value = self._connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        assert received == kind, received
        return value

    def epoch(self, request: TrialRequest, epoch: int, figures: Figures) -> None:
        """Tells of an epoch that has ended."""
        self.send("epoch", (epoch, figures))

    def histories(self) -> Histories:
        """Asks for the figures of all trials."""
        self.send("histories")
        return self.receive("histories")


def serve(folder: Path, descriptor: int) -> None:
    """Runs one trial after another, until the parent closes the connection.

    Args:
        folder: Where the task and the terms are.
        descriptor: File descriptor of the connection to the parent.
    """
    wire = Wire(Connection(descriptor))
    terms = json.loads((folder / "terms.json").read_text())
    threading.Thread(target=_beat, args=(wire, terms["heartbeat"]), daemon=True).start()
    task = _task(wire, folder, terms)
    wire.send("ready")
    while True:
        request = wire.receive("trial")
        try:
            outcome = task.run(request, wire)
        except Exception as error:
            traceback.print_exc()
            wire.send("fatal", _sendable(error))
        else:
            wire.send("ended", dataclasses.replace(outcome, memory=memory.peak()))


def _task(wire: Wire, folder: Path, terms: dict[str, Any]) -> Any:
    from tfkit.pipeline.runners.shipped import unship

    try:
        if terms["set_up"]:
            module, _, name = terms["set_up"].partition(":")
            getattr(importlib.import_module(module), name)(terms["threads"])
        return unship(folder)
    except Exception as error:
        traceback.print_exc()
        wire.send("broken", f"{type(error).__name__}: {reason(error)}")
        os._exit(1)


def _beat(wire: Wire, seconds: float) -> None:
    pause = threading.Event()
    while True:
        wire.send("alive")
        pause.wait(seconds)


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return SearchError(f"{type(error).__name__}: {reason(error)}")
    return error
