"""API keys over gRPC: calls without one are refused before their message is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import grpc

from tfkit_serving.access import Gate, Refused
from tfkit_serving.rpc.handlers import refuse

_OPEN = "/grpc.health.v1.Health/"
# Methods for one model, which `check_model` once they have read its name; all others take a key that opens all.
_OF_A_MODEL = frozenset(("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata", "GetModelStatus"))


class KeyInterceptor(grpc.aio.ServerInterceptor):
    """Lets calls in by the keys in their metadata; health checks need none.

    Args:
        gate: Who knows the keys.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """The handler of a call, or one that refuses it."""
        method = handler_call_details.method
        if not method.startswith(_OPEN):
            try:
                key = self._gate.admit(_headers(handler_call_details.invocation_metadata))
                if method.rpartition("/")[2] not in _OF_A_MODEL:
                    self._gate.check_all(key)
                self._gate.pace(key)
            except Refused as refused:
                return _refusal(refused)
        return await continuation(handler_call_details)


def check_model(gate: Gate | None, context: Any, name: str) -> None:
    """Nothing, where the key of a call opens a model.

    Raises:
        Refused: It does not.
    """
    if gate is not None:
        gate.check(gate.admit(_headers(context.invocation_metadata())), name)


def _refusal(refused: Refused) -> grpc.RpcMethodHandler:
    """A handler that says no; of the kind whose message is not waited for, however long it is."""

    async def answer(_: Any, context: Any) -> bytes:
        return await refuse(context, refused)

    return grpc.stream_unary_rpc_method_handler(answer)


def _headers(metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterator[tuple[bytes, bytes]]:
    for name, value in metadata or ():
        yield name.encode(), value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
