"""GrpcWords: requests and replies of TensorFlow Serving's gRPC services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfkit_serving.client.examples import Features, to_example
from tfkit_serving.client.exchange import Request
from tfkit_serving.client.metadata import ModelMetadata
from tfkit_serving.client.replies import Classification
from tfkit_serving.configuration.text import parse_text
from tfkit_serving.protocol.errors import ServingError, code_name
from tfkit_serving.protocol.messages import (
    ClassificationRequest,
    ClassificationResponse,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    HealthCheckRequest,
    HealthCheckResponse,
    ModelServerConfig,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    SignatureDefMap,
)
from tfkit_serving.protocol.tensors import to_array, to_proto
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature
from tfkit_serving.servables.status import VersionStatus

_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODEL = "/tensorflow.serving.ModelService/"
_HEALTH = "/grpc.health.v1.Health/Check"
_SIGNATURES = "signature_def"
_SERVING = 1
_GUESS = "inputs"


class GrpcWords:
    """Requests and replies of the gRPC services."""

    def check(self, inputs: Mapping[str, np.ndarray], signature: Signature, where: str) -> None:
        """Nothing: tensors carry whatever a signature has."""

    def predict(self, spec: ModelSpec, signature: str | None, inputs: Mapping[str, np.ndarray] | np.ndarray) -> Request:
        """The request for a prediction. Inputs have names here; to a wrong one the server says which there are."""
        request = PredictRequest()
        _specify(request, spec, signature)
        named = inputs if isinstance(inputs, Mapping) else {_GUESS: inputs}
        for name, array in named.items():
            try:
                request.inputs[name].CopyFrom(to_proto(array))
            except TypeError as error:
                raise ServingError("INVALID_ARGUMENT", f"input {name!r}: {error}") from None
        return Request(_PREDICTION + "Predict", request.SerializeToString())

    def outputs(self, body: bytes, signature: Signature | None) -> dict[str, np.ndarray]:
        """The outputs by name."""
        return {name: to_array(each) for name, each in PredictResponse.FromString(body).outputs.items()}

    def classify(
        self, spec: ModelSpec, signature: str | None, examples: Sequence[Features], context: Features | None
    ) -> Request:
        """The request for classes."""
        return _examples("Classify", ClassificationRequest(), spec, signature, examples, context)

    def classes(self, body: bytes) -> list[list[Classification]]:
        """The classes of each example."""
        found = ClassificationResponse.FromString(body).result.classifications
        return [[Classification(one.label, one.score) for one in each.classes] for each in found]

    def regress(
        self, spec: ModelSpec, signature: str | None, examples: Sequence[Features], context: Features | None
    ) -> Request:
        """The request for a regression."""
        return _examples("Regress", RegressionRequest(), spec, signature, examples, context)

    def values(self, body: bytes) -> np.ndarray:
        """The value of each example."""
        found = RegressionResponse.FromString(body).result.regressions
        return np.array([each.value for each in found], dtype=np.float32)

    def metadata(self, spec: ModelSpec) -> Request:
        """The request for signatures."""
        request = GetModelMetadataRequest(metadata_field=[_SIGNATURES])
        _specify(request, spec, None)
        return Request(_PREDICTION + "GetModelMetadata", request.SerializeToString())

    def signatures(self, body: bytes) -> ModelMetadata:
        """A version's signatures."""
        reply = GetModelMetadataResponse.FromString(body)
        found = SignatureDefMap.FromString(reply.metadata[_SIGNATURES].value).signature_def
        signatures = {name: Signature.from_bytes(each.SerializeToString()) for name, each in found.items()}
        return ModelMetadata(reply.model_spec.name, reply.model_spec.version.value, signatures)

    def status(self, spec: ModelSpec) -> Request:
        """The request for the states of versions."""
        request = GetModelStatusRequest()
        _specify(request, spec, None)
        return Request(_MODEL + "GetModelStatus", request.SerializeToString())

    def states(self, body: bytes) -> list[VersionStatus]:
        """The states of versions."""
        reply = GetModelStatusResponse.FromString(body)
        return [
            VersionStatus(each.version, _state(each), code_name(each.status.error_code), each.status.error_message)
            for each in reply.model_version_status
        ]

    def ready(self) -> Request:
        """gRPC's own health check."""
        return Request(_HEALTH, HealthCheckRequest().SerializeToString())

    def is_ready(self, body: bytes) -> bool:
        """Whether the server says SERVING."""
        return bool(HealthCheckResponse.FromString(body).status == _SERVING)

    def reload(self, config: Any) -> Request:
        """The request to serve what a configuration says: a message, a path, or text."""
        message = ModelServerConfig()
        try:
            if isinstance(config, Path):
                parse_text(config, message)
            elif isinstance(config, str):
                _parse(config, message)
            else:
                message.MergeFromString(config.SerializeToString())
        except (ValueError, OSError) as error:
            raise ServingError("INVALID_ARGUMENT", str(error)) from None
        return Request(_MODEL + "HandleReloadConfigRequest", ReloadConfigRequest(config=message).SerializeToString())

    def reloaded(self, body: bytes) -> None:
        """The real server tells a failure in a reply that is none itself."""
        status = ReloadConfigResponse.FromString(body).status
        if status.error_code:
            raise ServingError(code_name(status.error_code), status.error_message)


def _specify(request: Any, spec: ModelSpec, signature: str | None) -> None:
    request.model_spec.name = spec.name
    if spec.version is not None:
        request.model_spec.version.value = spec.version
    elif spec.label is not None:
        request.model_spec.version_label = spec.label
    if signature is not None:
        request.model_spec.signature_name = signature


def _examples(
    method: str,
    request: Any,
    spec: ModelSpec,
    signature: str | None,
    examples: Sequence[Features],
    context: Features | None,
) -> Request:
    _specify(request, spec, signature)
    messages = [to_example(each) for each in examples]
    if context is None:
        request.input.example_list.examples.extend(messages)
    else:
        request.input.example_list_with_context.examples.extend(messages)
        request.input.example_list_with_context.context.CopyFrom(to_example(context))
    return Request(_PREDICTION + method, request.SerializeToString())


def _state(status: Any) -> str:
    values = status.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number
    return str(values[status.state].name) if status.state in values else str(status.state)


def _parse(text: str, message: Any) -> None:
    from google.protobuf import text_format

    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ValueError(f"the configuration is no ModelServerConfig in text form: {error}") from None
