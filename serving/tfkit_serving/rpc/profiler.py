"""ProfilerService: what TensorFlow does in the versions' processes, for TensorBoard's profile plugin."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import ProfileRequest, ProfileResponse
from tfkit_serving.rpc.handlers import unary

SERVICE = "tensorflow.ProfilerService"
_LONGEST_MS = 60_000


def profiler_service(core: Any) -> grpc.GenericRpcHandler:
    """The handler of Profile; the service's other methods are not among them.

    Args:
        core: Knows the versions, by `servables()`.
    """
    return grpc.method_handlers_generic_handler(SERVICE, {"Profile": unary(ProfileRequest, _Calls(core).profile)})


class _Calls:
    def __init__(self, core: Any) -> None:
        self._core = core

    async def profile(self, request: Any, _: Any) -> Any:
        """A trace of each version; the client writes it into a file of its own."""
        if not 0 < request.duration_ms <= _LONGEST_MS:
            raise ServingError(
                "INVALID_ARGUMENT", f"duration_ms must be from 1 to {_LONGEST_MS}; got {request.duration_ms}"
            )
        servables = self._core.servables()
        traces = await asyncio.gather(*(each.profile(request.duration_ms / 1e3) for each in servables))
        found = [(each, trace) for each, trace in zip(servables, traces) if trace]
        return ProfileResponse(
            tool_data=[{"name": _file(each.name, each.version), "data": trace} for each, trace in found],
            empty_trace=not found,
        )


def _file(name: str, version: int) -> str:
    return f"{name.replace('/', '_')}.{version}.xplane.pb"
