"""What runs on the machines of a Ray cluster: a trial, and the mailbox that its reports go through."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfkit import memory
from tfkit.pipeline.runners.protocol import Figures, Histories, Outcome, TrialRequest
from tfkit.pipeline.runners.shipped import unpacked

Message = tuple[str, int, str, Any]
Files = dict[str, bytes]

_set_up: set[str] = set()


class Mailbox:
    """An actor that holds what trials report until it is fetched, and the histories for those that ask."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._histories: Histories = {}

    def put(self, message: Message) -> None:
        """Adds a message: trial, attempt, kind, value."""
        self._messages.append(message)

    def take(self) -> list[Message]:
        """The messages since the last call."""
        taken, self._messages = self._messages, []
        return taken

    def publish(self, histories: Histories) -> None:
        """Sets the histories of all trials."""
        self._histories = histories

    def histories(self) -> Histories:
        """The histories of all trials, as of the last message that was fetched."""
        return self._histories


@dataclass(frozen=True)
class Remote:
    """What a trial on another machine watches."""

    request: TrialRequest
    mailbox: Any

    def tell(self, kind: str, value: Any = None) -> None:
        """Sends a message, and waits until it is there."""
        with contextlib.suppress(self._is_gone):
            self._got(self.mailbox.put.remote((self.request.trial, self.request.attempt, kind, value)))

    def epoch(self, request: TrialRequest, epoch: int, figures: Figures) -> None:
        """Tells of an epoch that has ended."""
        self.tell("epoch", (epoch, figures))

    def histories(self) -> Histories:
        """Asks for the figures of all trials; there are none where the mailbox is gone with its machine."""
        with contextlib.suppress(self._is_gone):
            return self._got(self.mailbox.histories.remote())
        return {}

    @property
    def _is_gone(self) -> type[Exception]:
        return importlib.import_module("ray.exceptions").RayActorError

    def _got(self, reference: Any) -> Any:
        return importlib.import_module("ray").get(reference)


@dataclass(frozen=True)
class Shipped:
    """What all trials of a search have in common, on its way.

    Attributes:
        task: In a list, a reference to what `packed` has made of it.
        set_up: "module:function" to call first with the number of threads, or None.
        path: Where the search's own process imports from.
    """

    task: list[Any]
    set_up: str | None
    path: tuple[str, ...]

    def open(self) -> Any:
        """The task, once this process is set up; Ray has one process run many trials."""
        sys.path += [each for each in self.path if each not in sys.path and Path(each).exists()]
        if self.set_up is not None and self.set_up not in _set_up:
            _set_up.add(self.set_up)
            module, _, name = self.set_up.partition(":")
            with contextlib.suppress(RuntimeError):  # TensorFlow is at work already
                getattr(importlib.import_module(module), name)(int(os.environ.get("OMP_NUM_THREADS", 1)))
        return importlib.import_module("ray").get(self.task[0])


def run(
    shipped: Shipped, request: TrialRequest, resume: bytes | None, mailbox: Any
) -> tuple[Outcome, dict[str, bytes]]:
    """Runs a trial.

    Args:
        shipped: What the trials have in common.
        request: The trial.
        resume: The state to go on from.
        mailbox: The actor.

    Returns:
        The outcome, and the files that were written: "weights" and "last".
    """
    task = shipped.open()
    remote = Remote(request, mailbox)
    remote.tell("begin")
    with tempfile.TemporaryDirectory(prefix="tfkit-trial-") as name:
        folder = Path(name)
        state = folder / "resumed.npz"
        if resume is not None:
            state.write_bytes(resume)
        files = {"weights": folder / request.weights.name}
        if request.last is not None:
            files["last"] = folder / request.last.name
        near = replace(request, resume=request.resume and state, weights=files["weights"], last=files.get("last"))
        outcome = unpacked(task, folder).run(near, remote)
        written = {kind: path.read_bytes() for kind, path in files.items() if path.exists()}
        return replace(outcome, memory=memory.peak()), written
