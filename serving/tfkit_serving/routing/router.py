"""Router: which version answers a request that names none, and which one is asked too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.offload.bounds import nbytes
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.routing.classes import Classes, classes_of
from tfkit_serving.routing.comparison import Arrays, agreeing, rows
from tfkit_serving.routing.options import RoutingOptions
from tfkit_serving.routing.shadow import Shadow
from tfkit_serving.servables.requests import ModelSpec

# To compare as much takes long enough to be left to a thread.
_MANY_BYTES = 1 << 17
_LOG = logging.getLogger(__name__)


class Router:
    """Finds the version for a call: the one that it names, else by the model's split, else the newest.

    A version of a split that is not there leaves its share to the others, by their weights, and to the newest where
    none of them is there.

    Args:
        core: Where versions are found, by `servable(spec)`.
        options: Splits and shadows.

    Example:
        >>> router = Router(core, RoutingOptions(parse_splits(["digits:stable=90,canary=10"])))  # doctest: +SKIP
        >>> router.servable(ModelSpec("digits", key="user-1")).version  # doctest: +SKIP
        3
    """

    def __init__(self, core: Any, options: RoutingOptions) -> None:
        self._core = core
        self._options = options
        self._shadow = Shadow(METRICS.shadow)
        self._told: set[tuple[str, str]] = set()
        self._classes: WeakKeyDictionary[Any, Classes | None] = WeakKeyDictionary()

    def servable(self, spec: ModelSpec) -> Any:
        """The version for a call.

        Raises:
            ServingError: As the core's `servable`; of a request that names no version only where the model has none.
        """
        found = self._core.servable(spec)
        if spec.version is not None or spec.label is not None:
            return found
        split, shadow = self._options.split(spec.name), self._options.shadow(spec.name)
        if split is not None:
            found = self._drawn(spec, split.in_turn(spec.key)) or found
        if shadow is not None and shadow.takes():
            return Shadowed(found, partial(self._compare, found, shadow.label))
        return found

    def tell_missing(self) -> None:
        """Says which models and versions of the options are not there; a version that comes is told of again."""
        known = self._core.models()
        for name in sorted(self._options.models() - {*known}):
            _LOG.warning("--version_split or --version_shadow names the model %s, which is not there yet", name)
        for name in known:
            split, shadow = self._options.split(name), self._options.shadow(name)
            for label in [*(split.labels if split else ()), *([shadow.label] if shadow else ())]:
                self._there(name, label)

    async def close(self) -> None:
        """Ends what shadows are still asked."""
        await self._shadow.close()

    def _drawn(self, spec: ModelSpec, labels: Sequence[str]) -> Any:
        """The first of them that is there; None where none is."""
        for label in labels:
            found = self._there(spec.name, label)
            if found is not None:
                break
            METRICS.split_passed_over.add((spec.name, label))
        return found

    def _there(self, model: str, label: str) -> Any:
        """The version of that label or number, or None; says so when it goes and when it comes."""
        number = int(label) if label.isascii() and label.isdecimal() else None
        try:
            found = self._core.servable(ModelSpec(model, number, None if number is not None else label))
        except ServingError as error:
            self._tell_once(model, label, f"there is no {label} to send requests to: {error.message}")
            return None
        if (model, label) in self._told:
            self._told.discard((model, label))
            _LOG.info("model %s: %s is there, version %d", model, label, found.version)
        return found

    def _tell_once(self, model: str, label: str, text: str) -> None:
        if (model, label) not in self._told:
            self._told.add((model, label))
            _LOG.warning("model %s: %s", model, text)

    def _compare(
        self, servable: Any, label: str, signature: str, inputs: Arrays, outputs: Sequence[str] | None, answer: Arrays
    ) -> None:
        shadow = self._there(servable.name, label)
        if shadow is servable:  # by the split, or as the newest
            if self._options.split(servable.name) is None:
                self._tell_once(servable.name, "", f"{label} is the newest and answers itself: no shadow is compared")
            return

        async def ask() -> int:
            if shadow is None:
                raise ServingError("NOT_FOUND", label)
            others = await shadow.run(signature, inputs, outputs)
            return await self._agreed(servable, shadow, answer, others)

        self._shadow.send(servable.name, label, rows(answer), nbytes(inputs) + nbytes(answer), ask)

    async def _agreed(self, servable: Any, shadow: Any, answer: Arrays, others: Arrays) -> int:
        read = [await self._classes_of(each) for each in (servable, shadow)]
        if nbytes(answer) > _MANY_BYTES:
            return int(np.count_nonzero(await asyncio.to_thread(agreeing, answer, others, *read)))
        return int(np.count_nonzero(agreeing(answer, others, *read)))

    async def _classes_of(self, servable: Any) -> Classes | None:
        if servable not in self._classes:
            self._classes[servable] = await asyncio.to_thread(classes_of, servable.path)
        return self._classes[servable]


class Shadowed:
    """A version for one call, whose answers go to a shadow's comparison as well."""

    __slots__ = ("_answered", "_servable", "name", "signatures", "version")

    def __init__(self, servable: Any, answered: Callable[..., None]) -> None:
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self._servable, self._answered = servable, answered

    async def run(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None = None) -> Arrays:
        """Runs a signature on the version; the shadow is asked once there is an answer."""
        found: Arrays = await self._servable.run(signature, inputs, outputs)
        self._answered(signature, inputs, outputs, found)
        return found
