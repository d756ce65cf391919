"""Pinned: the version that one request has found, and what it has run there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from tfkit_serving.offload.bounds import ANY, Arrays, Bounds, TooLong, nbytes


class Pinned:
    """A version for one request: a signature runs once, however often the request is read.

    Args:
        servable: The version.
        bounds: Of the outputs that are still for the event loop.

    Attributes:
        seconds: How long the version has run for it; None before it has.

    Example:
        >>> import numpy as np
        >>> class Doubler:
        ...     name, version, signatures = "m", 1, {}
        ...     async def run(self, signature, inputs, outputs=None):
        ...         print("runs")
        ...         return {"y": inputs["x"] * 2}
        >>> async def twice(pinned):
        ...     return [await pinned.run("serving_default", {"x": np.arange(2)}) for _ in range(2)]
        >>> asyncio.run(twice(Pinned(Doubler())))
        runs
        [{'y': array([0, 2])}, {'y': array([0, 2])}]
    """

    def __init__(self, servable: Any, bounds: Bounds = ANY) -> None:
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self.seconds: float | None = None
        self._servable, self._bounds = servable, bounds
        self._runs: dict[str, asyncio.Future[Arrays]] = {}

    def servable(self, spec: object) -> Pinned:
        """The version that has been found, whatever is asked for now."""
        return self

    def keep(self, signature: str, outputs: Arrays, seconds: float) -> Pinned:
        """With outputs that are there already."""
        self._runs[signature] = asyncio.get_running_loop().create_future()
        self._runs[signature].set_result(outputs)
        self.seconds = seconds
        return self

    async def run(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None = None) -> Arrays:
        """Runs a signature, or gives what it gave.

        Raises:
            TooLong: The outputs are not for the event loop.
            ServingError: As the version's.
        """
        found = await self.outputs(signature, inputs, outputs)
        if not self._bounds.written(found):
            raise TooLong(self.servable, nbytes(found))
        return found

    async def outputs(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None) -> Arrays:
        """What `run` gives, however long it is."""
        run = self._runs.get(signature)
        if run is None:
            run = self._runs[signature] = asyncio.ensure_future(self._timed(signature, inputs, outputs))
        return await run

    async def _timed(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None) -> Arrays:
        started = perf_counter()
        found: Arrays = await self._servable.run(signature, inputs, outputs)
        self.seconds = (self.seconds or 0.0) + perf_counter() - started
        return found
