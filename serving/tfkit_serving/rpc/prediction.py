"""PredictionService: Predict, Classify, Regress, MultiInference and GetModelMetadata."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

import grpc

from tfkit_serving.access import Gate
from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.offload import Offload, TooLong
from tfkit_serving.offload.bounds import Find
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import GetModelMetadataRequest, GetModelMetadataResponse, SignatureDefMap
from tfkit_serving.routing import STICKY_HEADER
from tfkit_serving.rpc.access import check_model
from tfkit_serving.rpc.calls import Calls, Record
from tfkit_serving.rpc.handlers import unary, unary_bytes
from tfkit_serving.rpc.model_spec import requested
from tfkit_serving.servables.requests import ModelSpec

SERVICE = "tensorflow.serving.PredictionService"
_SIGNATURES = "signature_def"
_ANY = "type.googleapis.com/"
_STICKY = STICKY_HEADER.lower()
_METHODS = ("Predict", "Classify", "Regress", "MultiInference")
_COUNTED = frozenset(_METHODS[:3])
_IN_FLIGHT = ("GRPC",)


def prediction_service(
    core: Any, router: Any, offload: Offload, gate: Gate | None = None, *, content: bool = False
) -> grpc.GenericRpcHandler:
    """The handler of the PredictionService's methods; PredictStreamed is not among them.

    Args:
        core: Where servables are found, by `servable(spec)`.
        router: The same for requests that run a version; None for the core.
        offload: Who answers long requests.
        gate: Who knows which models a call's key opens; None where it needs none.
        content: Whether Predict is answered with tensors in raw bytes.
    """
    service = _Service(core, router, offload, gate, content)
    handlers = {method: unary_bytes(partial(service.answer, method)) for method in _METHODS}
    handlers["GetModelMetadata"] = unary(GetModelMetadataRequest, service.metadata)
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


class _Service:
    """Answers requests, on the event loop or by a worker, and reports them to the metrics."""

    def __init__(self, core: Any, router: Any, offload: Offload, gate: Gate | None, content: bool) -> None:
        self._core, self._router, self._offload, self._gate = core, router, offload, gate
        self._calls, self._content = Calls(content=content), content
        METRICS.in_flight.add(_IN_FLIGHT, 0)

    async def answer(self, method: str, request: bytes, context: Any) -> bytes:
        """The response to a request: all are counted by their status, with the time of the successes."""
        started, record, code = perf_counter(), Record(), "CANCELLED"
        METRICS.in_flight.add(_IN_FLIGHT, 1)
        try:
            response = await self._answer(method, request, self._find(context, record), record)
            code = "OK"
            return response
        except ServingError as error:
            code = error.code
            raise
        except Exception:
            code = "INTERNAL"
            raise
        finally:
            METRICS.in_flight.add(_IN_FLIGHT, -1)
            if method in _COUNTED and record.model is not None:
                _report(method, record, record.model, code, perf_counter() - started)

    async def _answer(self, method: str, request: bytes, find: Find, record: Record) -> bytes:
        try:
            return await self._calls.answer(method, request, find, record)
        except TooLong as too_long:
            long = too_long
        answered = await self._offload.answer(
            {"kind": "rpc", "method": method, "content": self._content}, request, long
        )
        told = answered.told
        record.model, record.signature, record.version = told["model"], told["signature"], told["version"]
        record.runtime_seconds = answered.seconds
        if answered.error is not None:
            raise answered.error
        return bytes(answered.body)

    def _find(self, context: Any, record: Record) -> Find:
        """How a request's version is found; its name is known then, wherever the request is read."""

        def find(spec: ModelSpec) -> Any:
            record.model = spec.name
            check_model(self._gate, context, spec.name)
            if self._router is None:
                return self._core.servable(spec)
            key = next((value for name, value in context.invocation_metadata() or () if name == _STICKY), None)
            return self._router.servable(ModelSpec(spec.name, spec.version, spec.label, key))

        return find

    async def metadata(self, request: Any, context: Any) -> Any:
        """The signatures of a model."""
        spec = requested(request)
        check_model(self._gate, context, spec.name)
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


def _report(method: str, record: Record, model: str, code: str, seconds: float) -> None:
    METRICS.count_request(model, code)
    if code == "OK":
        METRICS.observe_latency(model, method, "GRPC", seconds * 1e6)
    if record.runtime_seconds is not None:
        METRICS.observe_runtime(model, method, "TF1", record.runtime_seconds * 1e6)
    if record.version is not None:
        METRICS.observe_signature(model, record.version, record.signature, code, seconds)
