"""Front: the server, as a worker's process sees it: a core whose versions run where they are."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from tfkit_serving.offload.bounds import Arrays
from tfkit_serving.offload.carried import carried_spec, error_of
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature
from tfkit_serving.servables.wire import Wire

_signature = functools.lru_cache(256)(Signature.from_bytes)


class Front:
    """A core for the calls: finds versions by asking the server."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def servable(self, spec: ModelSpec) -> _Remote:
        """The version that a request is for.

        Raises:
            ServingError: As the server's core.
        """
        message, arrays = _asked(self._wire, {"servable": carried_spec(spec)})
        found = dict(zip(message["keys"], map(_signature, arrays["signatures"].tolist())))
        return _Remote(self._wire, message["name"], message["version"], found)


class _Remote:
    """A version behind the server."""

    def __init__(self, wire: Wire, name: str, version: int, signatures: Mapping[str, Signature]) -> None:
        self.name, self.version, self.signatures = name, version, signatures
        self._wire = wire

    async def run(self, signature: str, inputs: Arrays, outputs: Sequence[str] | None = None) -> Arrays:
        """Runs a signature; nothing else is done here meanwhile."""
        _, arrays = _asked(self._wire, {"run": signature, "outputs": outputs}, inputs)
        return arrays


def _asked(wire: Wire, message: Mapping[str, Any], arrays: Arrays | None = None) -> tuple[Mapping[str, Any], Arrays]:
    wire.send(message, arrays)
    reply, found = wire.receive()
    error = error_of(reply)
    if error is not None:
        raise error
    return reply, found
