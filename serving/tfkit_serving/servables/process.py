"""VersionProcess: one loaded version in a process of its own, as the server sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from tfkit.reasons import signal_text
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.channel import Channel, ChannelClosed
from tfkit_serving.servables.load_options import LoadOptions
from tfkit_serving.servables.nursery import Nursery
from tfkit_serving.servables.signature import Signature

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ProcessOptions:
    """How versions are loaded and run.

    Attributes:
        threads: Calls of a version that run at the same time; 0 for one a processor, at least 2 and at most 8.
        loading: How they are loaded.
        load_seconds: How long loading and warm-up may take.
        run_seconds: How long one call may take before the process is killed; 0 for ever.
    """

    threads: int = 0
    loading: LoadOptions = field(default_factory=LoadOptions)
    load_seconds: float = 600.0
    run_seconds: float = 60.0

    def counted(self) -> ProcessOptions:
        """With the number of threads as it is on this machine."""
        return replace(self, threads=self.threads or min(8, max(2, os.cpu_count() or 1)))


class VersionProcess:
    """A process that has loaded a version; `load` makes it.

    Attributes:
        pid: The process's id.
        signatures: Signatures by key.
        ended: Done when the process has ended, with the words how.
    """

    def __init__(self, nursery: Nursery, channels: list[Channel], pid: int, options: ProcessOptions) -> None:
        self.pid = pid
        self.signatures: dict[str, Signature] = {}
        self._nursery, self._channels, self._options = nursery, channels, options
        self._free = list(channels)
        self._threads = asyncio.Semaphore(len(channels))
        self._stopped_for: str | None = None
        self.ended: asyncio.Task[str] = asyncio.create_task(self._watch())

    @classmethod
    async def load(cls, nursery: Nursery, path: Path, options: ProcessOptions) -> VersionProcess:
        """Loads a version into a new process.

        Args:
            nursery: Who forks it.
            path: The version's folder.
            options: How it is loaded and run.

        Raises:
            ServingError: It cannot be loaded, a warm-up request fails, or the process dies over it.
        """
        options = options.counted()
        connections, pid = await nursery.fork(options.threads)
        process = cls(nursery, [await Channel.over(each) for each in connections], pid, options)
        try:
            await process._load(path)
        except BaseException:
            process.kill("its loading was given up")
            raise
        return process

    async def run(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None = None) -> Arrays:
        """One call of a signature; as many at a time as the process has threads.

        Raises:
            ServingError: The kernel's code and text; UNAVAILABLE when the process dies, DEADLINE_EXCEEDED when the
                call takes too long, which ends the process.
        """
        return await self._ask({"signature": signature, "outputs": outputs}, inputs)

    async def profile(self, seconds: float) -> bytes:
        """A trace of what TensorFlow does in the process for some seconds.

        Raises:
            ServingError: TensorFlow's code and text; UNAVAILABLE when the process dies.
        """
        await self._told_profiler("start")
        try:
            await asyncio.sleep(seconds)
        finally:  # also where nobody waits for it any more
            trace = await self._told_profiler("stop")
        return trace

    def kill(self, reason: str) -> None:
        """Ends the process at once; whoever waits for it gets UNAVAILABLE with the reason."""
        if self.ended.done() or self._stopped_for is not None:
            return
        self._stopped_for = reason
        for each in self._channels:
            each.close()
        # Closing is enough unless it is stopped or sits in code that lets no other thread run.
        if not self._nursery.has_ended(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def _load(self, path: Path) -> None:
        options = self._options
        request = {"path": str(path), **asdict(options.loading)}
        try:
            message, arrays = await asyncio.wait_for(self._channels[0].request(request, {}), options.load_seconds)
        except ChannelClosed:
            raise ServingError("UNAVAILABLE", f"loading it failed: {await self.ended}") from None
        except asyncio.TimeoutError:
            raise ServingError("DEADLINE_EXCEEDED", f"loading it took over {options.load_seconds:g} s") from None
        _raise_if_failed(message)
        self.signatures = {
            key: Signature.from_bytes(each) for key, each in zip(message["keys"], arrays["signatures"].tolist())
        }

    async def _told_profiler(self, what: str) -> bytes:
        return bytes((await self._ask({"profile": what}, {}))["trace"][0])

    async def _ask(self, message: Mapping[str, object], inputs: Arrays) -> Arrays:
        async with self._threads:
            channel = self._free.pop()  # the one used last, whose thread is warm
            try:
                return await self._call(channel, message, inputs)
            finally:
                self._free.append(channel)

    async def _call(self, channel: Channel, message: Mapping[str, object], inputs: Mapping[str, np.ndarray]) -> Arrays:
        loop, seconds = asyncio.get_running_loop(), self._options.run_seconds
        due = loop.time() + seconds
        late = loop.call_later(seconds, self.kill, f"a call took over {seconds:g} s") if seconds else None
        try:
            reply, arrays = await channel.request(message, inputs)
        except ChannelClosed:
            # The others that were in it are not late.
            code = "DEADLINE_EXCEEDED" if seconds and loop.time() >= due else "UNAVAILABLE"
            reason = await asyncio.shield(self.ended)
            raise ServingError(code, f"the model's process ended while the request was in it: {reason}") from None
        finally:
            if late is not None:
                late.cancel()
        _raise_if_failed(reply)
        return arrays

    async def _watch(self) -> str:
        await asyncio.wait([each.closed for each in self._channels], return_when=asyncio.FIRST_COMPLETED)
        status = await self._nursery.exit_status(self.pid)  # its memory is free then
        if self._stopped_for is not None:
            return self._stopped_for
        return f"process {self.pid} {exit_words(status)}"


def _raise_if_failed(message: Mapping[str, str]) -> None:
    if "code" in message:
        raise ServingError(message["code"], message["message"])


def exit_words(status: int | None) -> str:
    """How a process ended, as words behind its name.

    Example:
        >>> exit_words(1), exit_words(-9)
        ('ended with exit status 1', 'was killed by signal 9 (SIGKILL), as when memory runs out')
    """
    if status is None:
        return "is gone"
    if status >= 0:
        return f"ended with exit status {status}"
    hint = ", as when memory runs out" if -status == signal.SIGKILL else ""
    return f"was killed by signal {signal_text(-status)}{hint}"
