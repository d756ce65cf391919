"""Servable: a version that is loaded, and stays so when its process dies."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfkit_serving.batching import Batcher, BatchingOptions
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.framing import Packed
from tfkit_serving.servables.metrics import VersionObserver
from tfkit_serving.servables.nursery import Nursery
from tfkit_serving.servables.process import ProcessOptions, VersionProcess
from tfkit_serving.servables.signature import Signature

_LOG = logging.getLogger(__name__)
_MAX_DEATHS, _WINDOW_SECONDS = 5, 60.0
_FIRST_PAUSE_SECONDS = 0.25
_QUIET_SECONDS = 0.2
_SIDECAR = "tfkit.json"


class Servable:
    """A version of a model, to run requests on; `load` makes it.

    When its process dies, the requests in it fail and another is forked: at once, and after a pause that
    grows when it happens again. After five deaths within a minute it is given up.

    Attributes:
        name: The model's name.
        version: The version's number.
        path: The version's folder.
        signatures: Signatures by key, all that the graph has.
        failed: Called with the error when it is given up.
    """

    def __init__(
        self,
        name: str,
        version: int,
        path: Path,
        process: VersionProcess,
        revive: Callable[[], Awaitable[VersionProcess]],
        batching: BatchingOptions | None = None,
    ) -> None:
        self.name, self.version, self.path = name, version, path
        self.signatures: Mapping[str, Signature] = process.signatures
        self.failed: Callable[[ServingError], None] = _nothing
        self._process: VersionProcess | None = process
        self._revive = revive
        self._batcher = Batcher(self._call, batching, VersionObserver(name, version))
        batches = batching is not None and _batches(path)
        self._by_rows = {key for key, each in self.signatures.items() if batches and each.by_rows}
        self._alive: asyncio.Future[VersionProcess] = asyncio.get_running_loop().create_future()
        self._alive.set_result(process)
        self._keeping = asyncio.create_task(self._keep_alive(process))

    @classmethod
    async def load(
        cls,
        name: str,
        version: int,
        path: Path,
        nursery: Nursery,
        options: ProcessOptions | None = None,
        batching: BatchingOptions | None = None,
    ) -> Servable:
        """Loads a version.

        Args:
            name: The model's name.
            version: The version's number.
            path: The version's folder.
            nursery: Who forks its process.
            options: How it is loaded and run.
            batching: Bounds of batches; None for none.

        Raises:
            ServingError: It cannot be loaded, or a warm-up request fails.
        """

        async def revive() -> VersionProcess:
            return await VersionProcess.load(nursery, path, options or ProcessOptions())

        return cls(name, version, path, await revive(), revive, batching)

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return self._process.pid if self._process else None

    def queued(self) -> Mapping[str, int]:
        """Requests that wait for a batch, by signature."""
        return self._batcher.queued()

    async def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> Mapping[str, np.ndarray]:
        """Runs a signature, with others' requests in one call where its rows allow.

        Args:
            signature: The signature's key, one of `signatures`.
            inputs: Arrays by input name, all that the signature takes; strings are object arrays of bytes.
            outputs: Names of the outputs to fetch; None for all.

        Returns:
            Arrays by output name, which may be views of a batch's, or `Packed` ones where they are long.

        Raises:
            ServingError: The kernel's code and text; UNAVAILABLE where the process died or too many requests wait.
        """
        if signature in self._by_rows and type(inputs) is not Packed:
            return await self._batcher.run(signature, inputs, outputs)
        return await self._batcher.alone(signature, inputs, outputs)

    async def profile(self, seconds: float) -> bytes:
        """A trace of its process for some seconds, as `VersionProcess.profile`; empty while there is none."""
        return b"" if self._process is None else await self._process.profile(seconds)

    async def close(self, drain_seconds: float = 30.0) -> None:
        """Lets what runs finish, then ends the process: its memory is free when this returns."""
        deadline = asyncio.get_running_loop().time() + drain_seconds
        while asyncio.get_running_loop().time() < deadline and not await self._quiet():
            pass
        self._keeping.cancel()
        await self._batcher.close()
        if self._process is not None:
            self._process.kill("the version was unloaded")
            await self._process.ended

    async def _quiet(self) -> bool:
        """Whether nothing ran for a moment: a request may come in two calls."""
        idle = self._batcher.idle
        await asyncio.sleep(_QUIET_SECONDS if idle else 0.01)
        return idle and self._batcher.idle

    async def _call(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None
    ) -> Mapping[str, np.ndarray]:
        process = self._process
        if process is None:
            process = await asyncio.shield(self._alive)
        return await process.run(signature, inputs, outputs)

    async def _keep_alive(self, process: VersionProcess) -> None:
        deaths: deque[float] = deque()
        while True:
            reason = await asyncio.shield(process.ended)
            self._process = None
            self._alive = asyncio.get_running_loop().create_future()
            self._alive.add_done_callback(_retrieved)
            _LOG.error("model %s version %d: %s", self.name, self.version, reason)
            found = await self._replacement(deaths, reason)
            if found is None:
                return
            process = self._process = found
            self._alive.set_result(process)
            _LOG.warning("model %s version %d is loaded again in process %d", self.name, self.version, process.pid)

    async def _replacement(self, deaths: deque[float], reason: str) -> VersionProcess | None:
        loop = asyncio.get_running_loop()
        while True:
            deaths.append(loop.time())
            while deaths[0] < loop.time() - _WINDOW_SECONDS:
                deaths.popleft()
            if len(deaths) >= _MAX_DEATHS:
                self._give_up(reason)
                return None
            if len(deaths) > 1:
                await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2 ** (len(deaths) - 2))
            try:
                return await self._revive()
            except ServingError as error:
                reason = error.message

    def _give_up(self, reason: str) -> None:
        error = ServingError(
            "UNAVAILABLE", f"its process died {_MAX_DEATHS} times within {_WINDOW_SECONDS:g} s, the last time: {reason}"
        )
        _LOG.error("model %s version %d is given up: %s", self.name, self.version, error.message)
        self._alive.set_exception(error)
        self.failed(error)


def _nothing(error: ServingError) -> None:
    """What hears of a failure until somebody wants to."""


def _batches(path: Path) -> bool:
    """Whether the version's author allows batches: `"batching": false` in its tfkit.json forbids them."""
    try:
        return json.loads((path / _SIDECAR).read_text(encoding="utf-8")).get("batching") is not False
    except (OSError, ValueError, AttributeError):
        return True


def _retrieved(future: asyncio.Future[VersionProcess]) -> None:
    if not future.cancelled():
        future.exception()
