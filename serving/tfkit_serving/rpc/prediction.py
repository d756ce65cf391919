"""PredictionService: Predict, Classify, Regress, MultiInference and GetModelMetadata."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import grpc

from tfkit_serving.inference import DEFAULT_SIGNATURE, classify, examples_of, multi_inference, regress
from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import (
    ClassificationRequest,
    ClassificationResponse,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    MultiInferenceRequest,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
    SignatureDefMap,
)
from tfkit_serving.protocol.tensors import to_proto
from tfkit_serving.rpc.handlers import unary
from tfkit_serving.rpc.model_spec import named, requested, tell
from tfkit_serving.rpc.tensors import request_inputs, requested_outputs

SERVICE = "tensorflow.serving.PredictionService"
_SIGNATURES = "signature_def"
_ANY = "type.googleapis.com/"


def prediction_service(core: Any) -> grpc.GenericRpcHandler:
    """The handler of the PredictionService's methods; PredictStreamed is not among them.

    Args:
        core: Where servables are found, by `servable(spec)`.
    """
    calls = _Calls(core)
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Predict": unary(PredictRequest, _measured("Predict", calls.predict)),
            "Classify": unary(ClassificationRequest, _measured("Classify", calls.classify)),
            "Regress": unary(RegressionRequest, _measured("Regress", calls.regress)),
            "MultiInference": unary(MultiInferenceRequest, calls.multi_inference),
            "GetModelMetadata": unary(GetModelMetadataRequest, calls.metadata),
        },
    )


@dataclass(slots=True)
class _Record:
    """What a call found out about itself: who answered, and how long the model took."""

    version: int | None = None
    runtime_seconds: float | None = None


_Call = Callable[[Any, _Record], Awaitable[Any]]


def _measured(api: str, call: _Call) -> Callable[[Any], Awaitable[Any]]:
    """A call that reports to the metrics: all by their status, the time of the successes."""

    async def answer(request: Any) -> Any:
        started, record, code = perf_counter(), _Record(), "CANCELLED"
        try:
            response = await call(request, record)
            code = "OK"
            return response
        except ServingError as error:
            code = error.code
            raise
        except Exception:
            code = "INTERNAL"
            raise
        finally:
            _report(api, request.model_spec, record, code, perf_counter() - started)

    return answer


def _report(api: str, spec: Any, record: _Record, code: str, seconds: float) -> None:
    METRICS.count_request(spec.name, code)
    if code == "OK":
        METRICS.observe_latency(spec.name, api, "GRPC", seconds * 1e6)
    if record.runtime_seconds is not None:
        METRICS.observe_runtime(spec.name, api, "TF1", record.runtime_seconds * 1e6)
    if record.version is not None:
        signature = spec.signature_name or DEFAULT_SIGNATURE
        METRICS.observe_signature(spec.name, record.version, signature, code, seconds)


class _Calls:
    """The calls over one core, from a request message to its response's."""

    def __init__(self, core: Any) -> None:
        self._core = core

    async def predict(self, request: Any, record: _Record) -> Any:
        servable = self._core.servable(requested(request))
        record.version = servable.version
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.signatures.get(name)
        if signature is None:
            raise ServingError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        inputs, outputs = request_inputs(request, signature), requested_outputs(request, signature)
        started = perf_counter()
        arrays = await servable.run(name, inputs, outputs)
        record.runtime_seconds = perf_counter() - started
        response = PredictResponse()
        tell(response.model_spec, request.model_spec, servable.version)
        for key, array in arrays.items():
            response.outputs[key].CopyFrom(to_proto(array))
        return response

    async def classify(self, request: Any, record: _Record) -> Any:
        return await self._infer(classify, ClassificationResponse(), request, record)

    async def regress(self, request: Any, record: _Record) -> Any:
        return await self._infer(regress, RegressionResponse(), request, record)

    async def _infer(self, infer: Any, response: Any, request: Any, record: _Record) -> Any:
        servable = self._core.servable(requested(request))
        record.version = servable.version
        examples, context = examples_of(request.input)
        started = perf_counter()
        result = await infer(servable, request.model_spec.signature_name, examples, context=context)
        record.runtime_seconds = perf_counter() - started
        tell(response.model_spec, request.model_spec, servable.version)
        response.result.CopyFrom(result)
        return response

    async def multi_inference(self, request: Any) -> Any:
        # As in the real server, the first task says which version answers all.
        first = request.tasks[0].model_spec if request.tasks else MultiInferenceRequest().tasks.add().model_spec
        servable = self._core.servable(named(first))
        response = await multi_inference(servable, request)
        for task, result in zip(request.tasks, response.results):
            tell(result.model_spec, task.model_spec, servable.version)
        return response

    async def metadata(self, request: Any) -> Any:
        spec = requested(request)
        if not request.metadata_field:
            raise ServingError("INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != _SIGNATURES:
                raise ServingError("INVALID_ARGUMENT", f"Metadata field {field} is not supported")
        servable = self._core.servable(spec)
        response, signatures = GetModelMetadataResponse(), SignatureDefMap()
        for name, signature in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(signature.proto)
        response.model_spec.name, response.model_spec.version.value = servable.name, servable.version
        packed = response.metadata[_SIGNATURES]
        packed.type_url = _ANY + signatures.DESCRIPTOR.full_name
        packed.value = signatures.SerializeToString()
        return response
