"""The calls of the API, each from a request's body to the body of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tfkit_serving.inference import classify, regress
from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.offload import ON_THE_LOOP, Bounds, Pinned, TooLong
from tfkit_serving.offload.bounds import Find, nbytes
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.example_request import read_example_request, write_classifications, write_regressions
from tfkit_serving.rest.fast_request import read_plain_request
from tfkit_serving.rest.predict_request import PredictInputs, read_predict_request
from tfkit_serving.rest.predict_response import write_predictions
from tfkit_serving.rest.status_json import write_metadata, write_status
from tfkit_serving.servables.requests import ModelSpec

DEFAULT_SIGNATURE = "serving_default"


@dataclass(slots=True)
class Record:
    """What a call found out about itself, for metrics and the request log.

    Attributes:
        model: the model's name.
        action: such as `predict`.
        version: the version that answered, or None.
        signature: the signature that was asked.
        rows: rows or examples in the request.
        user: the name of the API key, or None.
    """

    model: str = ""
    action: str = ""
    version: int | None = None
    signature: str = ""
    rows: int = 0
    user: str | None = None


class Calls:
    """The calls over one core.

    Args:
        core: what metadata and states are asked of.
        max_depth: how deep a body's lists and objects may lie in each other.
        router: where the versions that run are found; None for the core.
        bounds: up to where requests are answered here; those beyond raise TooLong.
    """

    def __init__(self, core: Any, max_depth: int, router: Any = None, bounds: Bounds = ON_THE_LOOP) -> None:
        self._core = core
        self._router = router or core
        self._max_depth = max_depth
        self._bounds = bounds

    async def predict(self, model: ModelSpec, body: bytes, record: Record) -> bytes:
        """The answer to a predict request."""
        finder = _Finder(self._router, model)
        inputs = self._read_predict(body, finder)
        servable, signature = finder.servable, inputs.signature or DEFAULT_SIGNATURE
        record.version, record.signature = servable.version, signature
        first = next(iter(inputs.inputs.values()))
        record.rows = len(first) if first.ndim else 1
        if len(inputs.inputs) != len(finder.signature.inputs):
            raise _missing_inputs(inputs, finder.signature)
        started = perf_counter()
        outputs = await servable.run(signature, inputs.inputs)
        seconds = perf_counter() - started
        if not self._bounds.written(outputs):
            raise TooLong(Pinned(servable).keep(signature, outputs, seconds).servable, nbytes(outputs))
        METRICS.observe_runtime(model.name, "Predict", "TF1", seconds * 1e6)
        return write_predictions(outputs, row=inputs.row)

    def _read_predict(self, body: bytes, finder: _Finder) -> PredictInputs:
        if len(body) > self._bounds.body_bytes:
            raise TooLong(self._router.servable)
        inputs = read_plain_request(body, finder.find)
        if inputs is not None:
            return inputs
        if len(body) > self._bounds.exact_bytes:
            raise TooLong(finder.found)
        return read_predict_request(body, finder.find, self._max_depth)

    async def classify(self, model: ModelSpec, body: bytes, record: Record) -> bytes:
        """The answer to a classify request."""
        return write_classifications(await self._infer(classify, "Classify", model, body, record))

    async def regress(self, model: ModelSpec, body: bytes, record: Record) -> bytes:
        """The answer to a regress request."""
        return write_regressions(await self._infer(regress, "Regress", model, body, record))

    async def _infer(self, infer: Any, api: str, model: ModelSpec, body: bytes, record: Record) -> Any:
        if len(body) > self._bounds.exact_bytes:
            raise TooLong(self._router.servable)
        inputs = read_example_request(body, self._max_depth)
        servable = Pinned(self._router.servable(model), self._bounds)
        record.version, record.rows = servable.version, len(inputs.examples)
        record.signature = inputs.signature or DEFAULT_SIGNATURE
        result = await infer(servable, inputs.signature, inputs.examples, context=inputs.context)
        METRICS.observe_runtime(model.name, api, "TF1", (servable.seconds or 0.0) * 1e6)
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

    def __init__(self, router: Any, model: ModelSpec) -> None:
        self._router = router
        self._model = model
        self.servable: Any = None
        self.signature: Any = None

    @property
    def found(self) -> Find:
        """How another reading finds the version: this one, if it has been found."""
        return self._router.servable if self.servable is None else Pinned(self.servable).servable

    def find(self, name: str) -> Any:
        if self.servable is None:  # a body that is read a second time stays with its version
            self.servable = self._router.servable(self._model)
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
