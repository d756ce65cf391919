"""Status and metadata of models in JSON, as protobuf's C++ printer writes the real server's messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tfkit_serving.protocol.dtypes import enum_name


class VersionStatus(Protocol):
    """What a server core tells of a version."""

    version: int
    state: str
    code: str
    message: str


def write_status(statuses: Sequence[VersionStatus]) -> bytes:
    """The answer to GET /v1/models/NAME."""
    return _print(
        {
            "model_version_status": [
                {
                    "version": str(each.version),
                    "state": each.state,
                    "status": {"error_code": each.code, "error_message": each.message},
                }
                for each in statuses
            ]
        }
    )


def write_metadata(name: str, version: int, signatures: Mapping[str, Any]) -> bytes:
    """The answer to GET /v1/models/NAME/metadata.

    Args:
        name: the model's name.
        version: the version that was found.
        signatures: SignatureDef messages by name.
    """
    spec = _print({"name": name, "version": str(version), "signature_name": ""})
    definitions = _print({"signature_def": {key: _signature(signatures[key]) for key in sorted(signatures)}})
    return b'{\n"model_spec":' + spec + b',\n"metadata": {"signature_def": ' + definitions + b"}\n}\n"


def _print(value: Any) -> bytes:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    # protobuf writes these two by their numbers, so that a page may hold the text.
    return (text.replace("<", "\\u003c").replace(">", "\\u003e") + "\n").encode("utf-8", "surrogateescape")


def _signature(definition: Any) -> dict[str, Any]:
    return {
        "inputs": {key: _tensor_info(definition.inputs[key]) for key in sorted(definition.inputs)},
        "outputs": {key: _tensor_info(definition.outputs[key]) for key in sorted(definition.outputs)},
        "method_name": definition.method_name,
        "defaults": {},
    }


def _tensor_info(info: Any) -> dict[str, Any]:
    return {"name": info.name, "dtype": enum_name(info.dtype), "tensor_shape": _shape(info.tensor_shape)}


def _shape(shape: Any) -> dict[str, Any]:
    dimensions = [{"size": str(each.size), "name": each.name} for each in shape.dim]
    return {"dim": dimensions, "unknown_rank": shape.unknown_rank}
