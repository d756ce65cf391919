"""Health: grpc.health.v1, for load balancers and probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import HealthCheckRequest, HealthCheckResponse
from tfkit_serving.rpc import management, prediction
from tfkit_serving.rpc.handlers import unary

SERVICE = "grpc.health.v1.Health"
# The server as a whole, its services by full name, and by the names that TensorFlow Serving gives them.
_KNOWN = frozenset(("", prediction.SERVICE, management.SERVICE, "PredictionService", "ModelService"))
_STATUS = HealthCheckResponse.ServingStatus


class Health:
    """Answers Check and Watch: a known service serves from the start until `leave`."""

    def __init__(self) -> None:
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """From now on nothing is serving; those who watch are told, and their streams end."""
        self._leaving.set()

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler of its methods."""
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch,
            request_deserializer=HealthCheckRequest.FromString,
            response_serializer=HealthCheckResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(
            SERVICE, {"Check": unary(HealthCheckRequest, self._check), "Watch": watch}
        )

    async def _check(self, request: Any, _: Any) -> Any:
        if request.service not in _KNOWN:
            raise ServingError("NOT_FOUND", f"there is no service {request.service!r} here")
        return self._response(request.service)

    async def _watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield self._response(request.service)
        if not self._leaving.is_set():
            await self._leaving.wait()
            yield self._response(request.service)

    def _response(self, service: str) -> Any:
        if service not in _KNOWN:
            return HealthCheckResponse(status=_STATUS.Value("SERVICE_UNKNOWN"))
        return HealthCheckResponse(status=_STATUS.Value("NOT_SERVING" if self._leaving.is_set() else "SERVING"))
