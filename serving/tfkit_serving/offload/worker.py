"""Worker: a process that reads long requests and writes long answers, as the server sees it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfkit_serving.offload.bounds import Arrays, Find
from tfkit_serving.offload.carried import error_of, failure, spec_of
from tfkit_serving.offload.pinned import Pinned
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.channel import Channel, ChannelClosed
from tfkit_serving.servables.nursery import environment
from tfkit_serving.servables.process import exit_words


@dataclass(frozen=True)
class Answered:
    """What came of a request.

    Attributes:
        body: The answer's bytes; empty where it failed.
        told: What the one that read it tells of it: names and numbers.
        seconds: How long the model ran; None if it did not.
        error: Why it failed, or None.
    """

    body: memoryview
    told: Mapping[str, Any]
    seconds: float | None
    error: ServingError | None


class Worker:
    """A process that answers one request at a time; `start` makes it.

    Whatever it needs of a model it asks back: the signatures of a version, and to run one. So the event loop finds and
    runs versions as for any other request, and passes bytes on.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self._process, self._channel = process, channel
        channel.closed.add_done_callback(self._reap)

    @classmethod
    async def start(cls) -> Worker:
        """Starts the process, which takes a quarter of a second to import what it needs."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tfkit_serving.offload.worker_main", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(),
                start_new_session=True,
            )
        return cls(process, await Channel.over(ours))

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return self._channel.closed.done()

    def kill(self) -> None:
        """Ends it at once, whatever it does."""
        self._channel.close()
        self._process.kill()

    async def answer(self, request: Mapping[str, Any], body: bytes, find: Find) -> Answered:
        """Has it answer a request.

        Args:
            request: What it is told of it.
            body: Its bytes.
            find: Finds the version that a model spec names.

        Raises:
            ServingError: INTERNAL: the process died of it.
        """
        pinned: Pinned | None = None
        message, arrays = await self._ask(request, {"body": np.frombuffer(body, np.uint8)})
        while "answer" not in message:
            try:
                if "servable" in message:
                    pinned = _pinned(find, message)
                    reply = _described(pinned)
                else:
                    assert pinned is not None
                    reply = {}, await pinned.outputs(message["run"], arrays, message["outputs"])
            except ServingError as error:
                reply = failure(error), {}
            message, arrays = await self._ask(*reply)
        seconds = None if pinned is None else pinned.seconds
        return Answered(arrays["body"].data, message["answer"], seconds, error_of(message))

    async def _ask(self, message: Mapping[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        try:
            return await self._channel.request(message, arrays)
        except ChannelClosed:
            status = await asyncio.to_thread(self._process.wait)
            raise ServingError("INTERNAL", f"the process that read the request {exit_words(status)}") from None

    def _reap(self, _: object) -> None:
        asyncio.get_running_loop().run_in_executor(None, self._process.wait)


def _pinned(find: Find, message: Mapping[str, Any]) -> Pinned:
    found = find(spec_of(message["servable"]))
    return found if isinstance(found, Pinned) else Pinned(found)


def _described(pinned: Pinned) -> tuple[dict[str, Any], Arrays]:
    """What the process is told of a version."""
    signatures: np.ndarray = np.empty(len(pinned.signatures), object)
    signatures[:] = [each.proto.SerializeToString() for each in pinned.signatures.values()]
    message = {"name": pinned.name, "version": pinned.version, "keys": list(pinned.signatures)}
    return message, {"signatures": signatures}
