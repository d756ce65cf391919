"""Serialized PredictRequests from what a gRPC server's metadata says a model takes."""

from __future__ import annotations

import random
from typing import Any

import grpc
import numpy as np

from tfkit_serving.bench.target import Headers, Target, closed_shape, draw
from tfkit_serving.protocol.dtypes import enum_name, numpy_dtype
from tfkit_serving.protocol.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    PredictRequest,
    SignatureDefMap,
)
from tfkit_serving.protocol.tensors import to_proto

_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
_FIELD = "signature_def"
_DEFAULT_SIGNATURE = "serving_default"


def make_requests(
    target: Target, signature: str, rows: int, count: int, chance: random.Random, headers: Headers = ()
) -> tuple[bytes, ...]:
    """Requests with random rows; as `target.make_bodies`, which see."""
    inputs = _inputs(target, signature or _DEFAULT_SIGNATURE, headers)
    return tuple(_request(target.model, signature, inputs, rows, chance) for _ in range(count))


def _inputs(target: Target, signature: str, headers: Headers) -> dict[str, Any]:
    request = GetModelMetadataRequest()
    request.model_spec.name = target.model
    request.metadata_field.append(_FIELD)
    answer = GetModelMetadataResponse.FromString(_ask(target, request.SerializeToString(), headers))
    found = SignatureDefMap.FromString(answer.metadata[_FIELD].value).signature_def
    if signature not in found:
        raise RuntimeError(f"model {target.model!r} has no signature {signature!r}; it has {sorted(found)}")
    return dict(found[signature].inputs)


def _ask(target: Target, request: bytes, headers: Headers) -> bytes:
    address = f"{target.host}:{target.port}"
    channel = (
        grpc.secure_channel(address, grpc.ssl_channel_credentials()) if target.tls else grpc.insecure_channel(address)
    )
    metadata = tuple((name.lower(), value) for name, value in headers) or None
    with channel:
        try:
            return bytes(channel.unary_unary(_METADATA)(request, timeout=30, metadata=metadata))
        except grpc.RpcError as error:
            raise RuntimeError(f"{target.address} answers {error.code().name}: {error.details()}") from error


def _request(model: str, signature: str, inputs: dict[str, Any], rows: int, chance: random.Random) -> bytes:
    request = PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, info in inputs.items():
        request.inputs[name].CopyFrom(to_proto(_array(info, rows, chance)))
    return bytes(request.SerializeToString())


def _array(info: Any, rows: int, chance: random.Random) -> Any:
    shape = [-1] if info.tensor_shape.unknown_rank else [each.size for each in info.tensor_shape.dim]
    values = draw(enum_name(info.dtype), closed_shape(shape, rows), chance)
    return np.asarray(values, dtype=numpy_dtype(info.dtype))
