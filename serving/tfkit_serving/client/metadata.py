"""ModelMetadata: what a server says of a model's version, and how long that is taken to hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature

# How long "the newest version", or a label's, is taken to have the same signatures.
_FRESH = 30.0
_MOST = 256


@dataclass(frozen=True)
class ModelMetadata:
    """What a server says of a version.

    Attributes:
        name: The model's name.
        version: The version that was meant.
        signatures: Its signatures by name, with inputs and outputs by name, their dtypes and shapes.
    """

    name: str
    version: int
    signatures: Mapping[str, Signature]


class MetadataCache:
    """Metadata by model and version, so that it is asked for once.

    A version keeps its signatures. The newest version, and that of a label, change: those are asked for anew after half
    a minute, and at once if a request does not fit (`forget`).

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[ModelSpec, tuple[float, ModelMetadata | None]] = {}

    def find(self, spec: ModelSpec) -> tuple[bool, ModelMetadata | None]:
        """Whether something is known of a model, and what; None where the server tells nothing of it."""
        at, found = self._known.get(spec, (None, None))
        if at is None:
            return False, None
        settled = spec.version is not None and found is not None
        return settled or self._clock() - at < _FRESH, found

    def keep(self, spec: ModelSpec, metadata: ModelMetadata | None) -> None:
        """Remembers what the server said; None that it says nothing."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[spec] = (self._clock(), metadata)

    def forget(self, spec: ModelSpec) -> None:
        """Has it asked for anew."""
        self._known.pop(spec, None)
