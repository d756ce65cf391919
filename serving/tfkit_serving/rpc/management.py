"""ModelService: states of versions, and a new configuration."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from tfkit_serving.access import Gate
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelVersionStatus,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from tfkit_serving.rpc.access import check_model
from tfkit_serving.rpc.handlers import unary

SERVICE = "tensorflow.serving.ModelService"
_STATES = ModelVersionStatus.State


def model_service(core: Any, gate: Gate | None = None) -> grpc.GenericRpcHandler:
    """The handler of the ModelService's methods.

    Args:
        core: Knows states, by `status(name, version)`, and takes configurations, by `reload(config)`.
        gate: Who knows which models a call's key opens; None where it needs none.
    """
    calls = _Calls(core, gate)
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "GetModelStatus": unary(GetModelStatusRequest, calls.status),
            "HandleReloadConfigRequest": unary(ReloadConfigRequest, calls.reload),
        },
    )


class _Calls:
    def __init__(self, core: Any, gate: Gate | None) -> None:
        self._core, self._gate = core, gate
        self._reloads: set[asyncio.Future[None]] = set()

    async def status(self, request: Any, context: Any) -> Any:
        """States of a model's versions; labels are ignored, as in the real server."""
        if not request.HasField("model_spec"):
            raise ServingError("INVALID_ARGUMENT", "Missing ModelSpec")
        spec, response = request.model_spec, GetModelStatusResponse()
        check_model(self._gate, context, spec.name)
        version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
        for each in self._core.status(spec.name, version):
            status = ServingError(each.code, each.message)
            response.model_version_status.add(
                version=each.version,
                state=_STATES.Value(each.state),
                status={"error_code": status.number, "error_message": status.message},
            )
        return response

    async def reload(self, request: Any, _: Any) -> Any:
        """Goes on to its end even if the client has gone: a configuration is never left half applied."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise ServingError(
                "INVALID_ARGUMENT",
                "ServerModelConfig type not supported by HandleReloadConfigRequest."
                " Only ModelConfigList is currently supported",
            )
        reload: asyncio.Future[None] = asyncio.ensure_future(self._core.reload(request.config))
        self._reloads.add(reload)
        reload.add_done_callback(self._finished)
        await asyncio.shield(reload)
        return ReloadConfigResponse(status={})

    def _finished(self, reload: asyncio.Future[None]) -> None:
        self._reloads.discard(reload)
        if not reload.cancelled():
            reload.exception()  # told to the client, if it is there
