"""Model: a version that is loaded in this process, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


class Model(Protocol):
    """What a version's process answers from: a `LoadedModel` or a `LiteModel`."""

    def signature_defs(self) -> dict[str, bytes]:
        """Every SignatureDef, serialized, by its key."""

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs a signature: arrays by output name, all of them or those that are named."""
