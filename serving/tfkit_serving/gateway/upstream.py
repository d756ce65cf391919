"""The model server behind: which version a request goes to, and the call itself, within a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from tfkit_serving.gateway.metrics import GatewayMetrics
from tfkit_serving.gateway.problem import Problem, upstream_problem
from tfkit_serving.protocol.errors import ServingError

# How long a label or "the newest" is taken to mean the same version.
_FRESH = 1.0


class ModelClient(Protocol):
    """What a gateway takes of `tfkit_serving.AsyncClient`."""

    async def predict(
        self, model: str, inputs: Any, version: int | None = None, label: str | None = None
    ) -> Any:  # pragma: no cover
        """The outputs: an array, or a dict of them."""

    async def metadata(
        self, model: str, version: int | None = None, label: str | None = None
    ) -> Any:  # pragma: no cover
        """What the server says of a model, with its `version`."""


class Upstream:
    """Calls the model server, and knows which version answered.

    TensorFlow Serving's REST API does not say which version a reply is from. So a label, or the newest version, is
    looked up first, at most once a second, and the call then names the version. One that was unloaded in between is
    looked up again.

    Args:
        client: The client of the server.
        metrics: Where calls are counted.
        timeout: Seconds that a call may take.
    """

    def __init__(self, client: ModelClient, metrics: GatewayMetrics, timeout: float) -> None:
        self._client = client
        self._metrics = metrics
        self._timeout = timeout
        self._versions: dict[tuple[str, str | None], tuple[float, asyncio.Future[int]]] = {}

    async def predict(
        self, model: str, inputs: Mapping[str, np.ndarray], *, version: int | None, label: str | None
    ) -> tuple[dict[str, np.ndarray], int]:
        """The outputs by name, of rows, and the version they are from.

        Args:
            model: The model's name.
            inputs: Arrays by the signature's names.
            version: The version; None for that of the label, or the newest.
            label: The version label, or None.

        Raises:
            Problem: The server refuses, fails, is not there or takes too long.
            UnknownLabel: The server has no such label.
        """
        found = await self.version(model, label) if version is None else version
        try:
            return await self._call(model, inputs, found), found
        except Problem as problem:
            if not isinstance(problem.__cause__, ServingError) or problem.__cause__.code != "NOT_FOUND":
                raise
            if version is not None:
                raise Problem(404, problem.detail) from problem.__cause__
        self._versions.pop((model, label), None)
        found = await self.version(model, label)
        return await self._call(model, inputs, found), found

    async def version(self, model: str, label: str | None = None) -> int:
        """The version that a label means now, or the newest; a second old at most.

        Raises:
            Problem: As for `predict`.
            UnknownLabel: The server has no such label.
        """
        now = time.monotonic()
        at, asked = self._versions.get((model, label), (-_FRESH, None))
        if asked is None or (asked.done() and now - at > _FRESH):
            asked = asyncio.ensure_future(self._look_up(model, label))
            asked.add_done_callback(lambda done: self._forget_failed(model, label, done))
            self._versions[model, label] = (now, asked)
        # All who ask meanwhile wait for one answer; one of them leaving does not end it.
        return await asyncio.shield(asked)

    def _forget_failed(self, model: str, label: str | None, asked: asyncio.Future[int]) -> None:
        """Only what was found is kept: callers make up labels, and an error is no answer for the next one."""
        failed = asked.cancelled() or asked.exception() is not None
        if failed and self._versions.get((model, label), (0.0, None))[1] is asked:
            del self._versions[model, label]

    async def _look_up(self, model: str, label: str | None) -> int:
        try:
            metadata = await self._timed(model, self._client.metadata(model, label=label))
        except Problem as problem:
            if label is not None and "Unrecognized servable version label" in problem.detail:
                raise UnknownLabel(model, label) from problem
            raise
        return int(metadata.version)

    async def _call(self, model: str, inputs: Mapping[str, np.ndarray], version: int) -> dict[str, np.ndarray]:
        outputs = await self._timed(model, self._client.predict(model, dict(inputs), version=version))
        return dict(outputs) if isinstance(outputs, Mapping) else {"": np.asarray(outputs)}

    async def _timed(self, model: str, call: Any) -> Any:
        began, code = time.perf_counter(), "OK"
        try:
            return await asyncio.wait_for(call, self._timeout)
        except (TimeoutError, asyncio.TimeoutError) as error:
            code = "DEADLINE_EXCEEDED"
            raise upstream_problem(code, f"no reply within {self._timeout:g} seconds") from error
        except ServingError as error:
            code = error.code
            raise upstream_problem(code, error.message) from error
        finally:
            self._metrics.upstream.observe((model, code), time.perf_counter() - began)


class UnknownLabel(Problem):
    """The server has no version of that label."""

    def __init__(self, model: str, label: str) -> None:
        super().__init__(400, f"the model server has no version of {model!r} with the label {label!r}")
