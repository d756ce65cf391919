"""The calls of the PredictionService, each from a request's bytes to those of its response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tfkit_serving.inference import DEFAULT_SIGNATURE, classify, examples_of, multi_inference, regress
from tfkit_serving.offload import ON_THE_LOOP, Bounds, Pinned, TooLong
from tfkit_serving.offload.bounds import Find, nbytes
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import (
    ClassificationRequest,
    ClassificationResponse,
    MultiInferenceRequest,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
)
from tfkit_serving.protocol.tensors import to_content_proto, to_proto
from tfkit_serving.rpc.handlers import parsed
from tfkit_serving.rpc.model_spec import named, requested, tell
from tfkit_serving.rpc.tensors import request_inputs, requested_outputs


@dataclass(slots=True)
class Record:
    """What a call found out about itself, for the metrics.

    Attributes:
        model: The model's name; None where the request could not be read, or is for no single signature.
        signature: The signature that was asked.
        version: The version that answered, or None.
        runtime_seconds: How long the model took, or None.
    """

    model: str | None = None
    signature: str = ""
    version: int | None = None
    runtime_seconds: float | None = None


class Calls:
    """The calls.

    Args:
        bounds: Up to where requests are answered here; those beyond raise TooLong.
        content: Whether outputs are written in raw bytes, not in their typed fields.
    """

    def __init__(self, bounds: Bounds = ON_THE_LOOP, *, content: bool = False) -> None:
        self._bounds = bounds
        self._to_proto = to_content_proto if content else to_proto

    async def answer(self, method: str, request: bytes, find: Find, record: Record) -> bytes:
        """The response to a request.

        Args:
            method: Predict, Classify, Regress or MultiInference.
            request: The message's bytes.
            find: Finds the version for a model spec.
            record: Filled in.

        Raises:
            ServingError: What is wrong.
            TooLong: It is not for the event loop.
        """
        if len(request) > self._bounds.message_bytes:
            raise TooLong(find)
        message, call = _METHODS[method]
        response: bytes = (await call(self, parsed(message, request), find, record)).SerializeToString()
        return response

    async def predict(self, request: Any, find: Find, record: Record) -> Any:
        """A PredictResponse."""
        record.model, record.signature = request.model_spec.name, request.model_spec.signature_name or DEFAULT_SIGNATURE
        servable = find(requested(request))
        record.version, name = servable.version, record.signature
        signature = servable.signatures.get(name)
        if signature is None:
            raise ServingError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        if any(len(each.string_val) > self._bounds.strings for each in request.inputs.values()):
            raise TooLong(Pinned(servable).servable)
        inputs, outputs = request_inputs(request, signature), requested_outputs(request, signature)
        started = perf_counter()
        arrays = await servable.run(name, inputs, outputs)
        seconds = perf_counter() - started
        if not self._bounds.copied(arrays):
            raise TooLong(Pinned(servable).keep(name, arrays, seconds).servable, nbytes(arrays))
        record.runtime_seconds = seconds
        response = PredictResponse()
        tell(response.model_spec, request.model_spec, servable.version)
        for key, array in arrays.items():
            response.outputs[key].CopyFrom(self._to_proto(array))
        return response

    async def classify(self, request: Any, find: Find, record: Record) -> Any:
        """A ClassificationResponse."""
        return await self._infer(classify, ClassificationResponse(), request, find, record)

    async def regress(self, request: Any, find: Find, record: Record) -> Any:
        """A RegressionResponse."""
        return await self._infer(regress, RegressionResponse(), request, find, record)

    async def _infer(self, infer: Any, response: Any, request: Any, find: Find, record: Record) -> Any:
        record.model, record.signature = request.model_spec.name, request.model_spec.signature_name or DEFAULT_SIGNATURE
        servable = Pinned(find(requested(request)), self._bounds)
        record.version = servable.version
        self._check(request.input, servable)
        examples, context = examples_of(request.input)
        result = await infer(servable, request.model_spec.signature_name, examples, context=context)
        record.runtime_seconds = servable.seconds
        tell(response.model_spec, request.model_spec, servable.version)
        response.result.CopyFrom(result)
        return response

    async def multi_inference(self, request: Any, find: Find, record: Record) -> Any:
        """A MultiInferenceResponse."""
        # As in the real server, the first task says which version answers all.
        first = request.tasks[0].model_spec if request.tasks else MultiInferenceRequest().tasks.add().model_spec
        servable = Pinned(find(named(first)), self._bounds)
        self._check(request.input, servable)
        response = await multi_inference(servable, request)
        for task, result in zip(request.tasks, response.results):
            tell(result.model_spec, task.model_spec, servable.version)
        return response

    def _check(self, given: Any, servable: Pinned) -> None:
        """Leaves an Input of many examples, or of much context for each, to another process."""
        kind = given.WhichOneof("kind")
        if kind is None:
            return
        held = getattr(given, kind)
        count = len(held.examples)
        shared = held.context.ByteSize() * count if kind == "example_list_with_context" else 0
        if count > self._bounds.examples or shared > self._bounds.message_bytes:
            raise TooLong(servable.servable)


_METHODS: dict[str, tuple[Any, Callable[[Calls, Any, Find, Record], Awaitable[Any]]]] = {
    "Predict": (PredictRequest, Calls.predict),
    "Classify": (ClassificationRequest, Calls.classify),
    "Regress": (RegressionRequest, Calls.regress),
    "MultiInference": (MultiInferenceRequest, Calls.multi_inference),
}
