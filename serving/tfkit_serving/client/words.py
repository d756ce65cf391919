"""Words: what a protocol makes of requests and replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tfkit_serving.client.examples import Features
from tfkit_serving.client.exchange import Request
from tfkit_serving.client.metadata import ModelMetadata
from tfkit_serving.client.replies import Classification
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature
from tfkit_serving.servables.status import VersionStatus


class Words(Protocol):
    """A protocol's requests and replies.

    Requests raise ServingError where the protocol cannot say what is asked for; replies raise ValueError where they
    cannot be read.
    """

    def check(self, inputs: Mapping[str, np.ndarray], signature: Signature, where: str) -> None:
        """Raises ServingError where the protocol carries not all of a signature's dtypes, or an input's shape."""

    def predict(self, spec: ModelSpec, signature: str | None, inputs: Mapping[str, np.ndarray] | np.ndarray) -> Request:
        """The request for a prediction; an array alone is the one input, by a name that is not known."""

    def outputs(self, body: bytes, signature: Signature | None) -> dict[str, np.ndarray]:
        """The outputs of a prediction by name; "" where the reply tells no name."""

    def classify(
        self, spec: ModelSpec, signature: str | None, examples: Sequence[Features], context: Features | None
    ) -> Request:
        """The request for classes."""

    def classes(self, body: bytes) -> list[list[Classification]]:
        """The classes of each example."""

    def regress(
        self, spec: ModelSpec, signature: str | None, examples: Sequence[Features], context: Features | None
    ) -> Request:
        """The request for a regression."""

    def values(self, body: bytes) -> np.ndarray:
        """The value of each example, float32."""

    def metadata(self, spec: ModelSpec) -> Request:
        """The request for signatures."""

    def signatures(self, body: bytes) -> ModelMetadata:
        """A version's signatures."""

    def status(self, spec: ModelSpec) -> Request:
        """The request for the states of versions."""

    def states(self, body: bytes) -> list[VersionStatus]:
        """The states of versions, as the server orders them."""

    def ready(self) -> Request:
        """The request that a server answers once it serves."""

    def is_ready(self, body: bytes) -> bool:
        """Whether the reply says so."""

    def reload(self, config: Any) -> Request:
        """The request to serve what a configuration says."""

    def reloaded(self, body: bytes) -> None:
        """Raises ServingError where the server could not."""
