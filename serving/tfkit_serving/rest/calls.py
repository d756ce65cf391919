"""The calls of the API, each from a request's body to the body of its answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tfkit_serving.inference import classify, regress
from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.example_request import read_example_request, write_classifications, write_regressions
from tfkit_serving.rest.fast_request import read_plain_request
from tfkit_serving.rest.predict_request import PredictInputs, read_predict_request
from tfkit_serving.rest.predict_response import write_predictions
from tfkit_serving.rest.status_json import write_metadata, write_status
from tfkit_serving.servables.requests import ModelSpec

DEFAULT_SIGNATURE = "serving_default"
# Reading a body of this size, or writing as many values, takes long enough to be left to a thread.
_LONG_BODY = 1 << 18
_MANY_VALUES = 1 << 15


@dataclass(slots=True)
class Record:
    """What a call found out about itself, for metrics and the request log.

    Attributes:
        model: the model's name.
        action: such as `predict`.
        version: the version that answered, or None.
        signature: the signature that was asked.
        rows: rows or examples in the request.
    """

    model: str = ""
    action: str = ""
    version: int | None = None
    signature: str = ""
    rows: int = 0


class Calls:
    """The calls over one core.

    Args:
        core: where servables are found.
        max_depth: how deep a body's lists and objects may lie in each other.
    """

    def __init__(self, core: Any, max_depth: int) -> None:
        self._core = core
        self._max_depth = max_depth

    async def predict(self, model: ModelSpec, body: bytes, record: Record) -> bytes:
        """The answer to a predict request."""
        finder = _Finder(self._core, model)
        read = self._read_predict
        inputs = await asyncio.to_thread(read, body, finder) if len(body) > _LONG_BODY else read(body, finder)
        servable, signature = finder.servable, inputs.signature or DEFAULT_SIGNATURE
        record.version, record.signature = servable.version, signature
        first = next(iter(inputs.inputs.values()))
        record.rows = len(first) if first.ndim else 1
        if len(inputs.inputs) != len(finder.signature.inputs):
            raise _missing_inputs(inputs, finder.signature)
        started = perf_counter()
        outputs = await servable.run(signature, inputs.inputs)
        METRICS.observe_runtime(model.name, "Predict", "TF1", (perf_counter() - started) * 1e6)
        for array in outputs.values():
            if array.size > _MANY_VALUES:
                return await asyncio.to_thread(write_predictions, outputs, row=inputs.row)
        return write_predictions(outputs, row=inputs.row)

    def _read_predict(self, body: bytes, finder: _Finder) -> PredictInputs:
        return read_plain_request(body, finder.find) or read_predict_request(body, finder.find, self._max_depth)

    async def classify(self, model: ModelSpec, body: bytes, record: Record) -> bytes:
        """The answer to a classify request."""
        return write_classifications(await self._infer(classify, "Classify", model, body, record))

    async def regress(self, model: ModelSpec, body: bytes, record: Record) -> bytes:
        """The answer to a regress request."""
        return write_regressions(await self._infer(regress, "Regress", model, body, record))

    async def _infer(self, infer: Any, api: str, model: ModelSpec, body: bytes, record: Record) -> Any:
        if len(body) > _LONG_BODY:
            inputs = await asyncio.to_thread(read_example_request, body, self._max_depth)
        else:
            inputs = read_example_request(body, self._max_depth)
        servable = self._core.servable(model)
        record.version, record.rows = servable.version, len(inputs.examples)
        record.signature = inputs.signature or DEFAULT_SIGNATURE
        started = perf_counter()
        result = await infer(servable, inputs.signature, inputs.examples, context=inputs.context)
        METRICS.observe_runtime(model.name, api, "TF1", (perf_counter() - started) * 1e6)
        return result

    def metadata(self, model: ModelSpec, record: Record) -> bytes:
        """The signatures of a model."""
        if not model.name:
            raise _missing_name()
        servable = self._core.servable(model)
        record.version = servable.version
        return write_metadata(
            model.name, servable.version, {name: each.proto for name, each in servable.signatures.items()}
        )

    def status(self, model: ModelSpec, record: Record) -> bytes:
        """The versions of a model; labels are ignored, as in the real server."""
        if not model.name:
            raise _missing_name()
        return write_status(self._core.status(model.name, model.version))


class _Finder:
    """Finds the servable and the signature once the body has been parsed, and keeps them."""

    def __init__(self, core: Any, model: ModelSpec) -> None:
        self._core = core
        self._model = model
        self.servable: Any = None
        self.signature: Any = None

    def find(self, name: str) -> Any:
        self.servable = self._core.servable(self._model)
        name = name or DEFAULT_SIGNATURE
        self.signature = self.servable.signatures.get(name)
        if self.signature is None:
            raise ServingError("INVALID_ARGUMENT", f'Serving signature name: "{name}" not found in signature def')
        return self.signature


def _missing_inputs(inputs: PredictInputs, signature: Any) -> ServingError:
    """A plain list of base64 objects names one input; a signature of several then misses some."""
    missing = signature.inputs.keys() - inputs.inputs.keys()
    sent, wanted = ",".join(sorted(inputs.inputs)), ",".join(sorted(signature.inputs))
    return ServingError(
        "INVALID_ARGUMENT",
        f"input size does not match signature: {len(inputs.inputs)}!={len(signature.inputs)} len({{{sent}}}) != "
        f"len({{{wanted}}}). Sent extra: {{}}. Missing but required: {{{','.join(sorted(missing))}}}.",
    )


def _missing_name() -> ServingError:
    return ServingError("INVALID_ARGUMENT", "Missing model name in request.")
