"""What a running server says of its versions, and telling it of a new configuration."""

from __future__ import annotations

from typing import Any

import grpc

from tfkit_serving.protocol.errors import ServingError, code_name
from tfkit_serving.protocol.messages import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)

_SERVICE = "/tensorflow.serving.ModelService"
_SECONDS = 60.0
_STATE = GetModelStatusResponse.DESCRIPTOR.file.message_types_by_name["ModelVersionStatus"].enum_types_by_name["State"]


def statuses(server: str, model: str) -> dict[int, tuple[str, str]]:
    """States and error texts of a model's versions, by number; none where the server does not know the model.

    Raises:
        ServingError: The server did not answer.
    """
    request = GetModelStatusRequest()
    request.model_spec.name = model
    try:
        answer = GetModelStatusResponse.FromString(_call(server, "GetModelStatus", request))
    except ServingError as error:
        if error.code == "NOT_FOUND":
            return {}
        raise
    return {
        each.version: (_STATE.values_by_number[each.state].name, each.status.error_message)
        for each in answer.model_version_status
    }


def reload(server: str, config: Any) -> None:
    """Makes a server follow a ModelServerConfig.

    Raises:
        ServingError: It did not answer, or refused.
    """
    request = ReloadConfigRequest()
    request.config.CopyFrom(config)
    answer = ReloadConfigResponse.FromString(_call(server, "HandleReloadConfigRequest", request))
    if answer.status.error_code:
        raise ServingError(code_name(answer.status.error_code), answer.status.error_message)


def _call(server: str, method: str, request: Any) -> bytes:
    address = server.removeprefix("grpc://")
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"{_SERVICE}/{method}")
        try:
            return bytes(call(request.SerializeToString(), timeout=_SECONDS))
        except grpc.RpcError as error:
            raise ServingError(error.code().name, error.details() or f"no answer from {address}") from error
