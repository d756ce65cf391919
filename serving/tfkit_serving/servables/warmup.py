"""warm_up: runs the requests that a version brings along, before anybody else's. Imports TensorFlow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfkit_serving.inference import DEFAULT_SIGNATURE, classify, examples_of, multi_inference, regress
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import PredictionLog
from tfkit_serving.protocol.tensors import to_array
from tfkit_serving.servables.loaded import Model
from tfkit_serving.servables.signature import Signature

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000


def warm_up(model: Model, version: Path, *, times: int = 1) -> int:
    """Runs a version's warm-up requests, if it has any.

    Args:
        model: The version, loaded.
        version: Its folder.
        times: How often each of them.

    Returns:
        How many requests there are.

    Raises:
        ServingError: A record cannot be read or its request fails, or there are more than 1000.
    """
    path = version / FILE
    if not path.exists():
        return 0
    servable = Warming(model)
    count = 0
    for count, record in enumerate(_records(path), start=1):
        if count > MAX_RECORDS:
            raise ServingError(
                "INVALID_ARGUMENT", f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}"
            )
        try:
            log = PredictionLog.FromString(record)
            for _ in range(times):
                servable.replay(log)
        except Exception as error:
            raise _failed(error, count, path) from error
    return count


class Warming:
    """A loaded model as the servable that requests are run against.

    Args:
        model: The version, loaded.

    Attributes:
        signatures: Signatures by key.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.signatures = {key: Signature.from_bytes(each) for key, each in model.signature_defs().items()}

    async def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs a signature: arrays by name."""
        return self._model.run(signature, inputs, outputs)

    def replay(self, log: Any) -> None:
        """Runs the request of a PredictionLog; not in a thread that has an event loop.

        Raises:
            ServingError: The server refuses it.
            tf.errors.OpError: A kernel fails.
        """
        kind = log.WhichOneof("log_type")
        replay = _KINDS.get(kind)
        if replay is None:
            raise ServingError("UNIMPLEMENTED", f"Unsupported log_type for warmup: {kind or 'none'}")
        asyncio.run(replay(self, getattr(log, kind).request))


async def _predict(servable: Warming, request: Any) -> None:
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if key not in servable.signatures:
        raise ServingError("FAILED_PRECONDITION", f'Serving signature key "{key}" not found.')
    signature = servable.signatures[key]
    if set(request.inputs) != set(signature.inputs):
        expected, given = sorted(signature.inputs), sorted(request.inputs)
        raise ServingError("INVALID_ARGUMENT", f"the signature {key!r} takes the inputs {expected}, not {given}")
    inputs = {name: to_array(each) for name, each in request.inputs.items()}
    await servable.run(key, inputs, list(request.output_filter) or None)


_Replay = Callable[[Warming, Any], Coroutine[Any, Any, object]]


async def _classify(servable: Warming, request: Any) -> None:
    examples, context = examples_of(request.input)
    await classify(servable, request.model_spec.signature_name, examples, context=context)


async def _regress(servable: Warming, request: Any) -> None:
    examples, context = examples_of(request.input)
    await regress(servable, request.model_spec.signature_name, examples, context=context)


async def _multi_inference(servable: Warming, request: Any) -> None:
    await multi_inference(servable, request)


_KINDS: dict[str | None, _Replay] = {
    "predict_log": _predict,
    "classify_log": _classify,
    "regress_log": _regress,
    "multi_inference_log": _multi_inference,
}


def _records(path: Path) -> Iterator[bytes]:
    yield from tf.compat.v1.io.tf_record_iterator(str(path))


def _failed(error: Exception, count: int, path: Path) -> ServingError:
    text = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
    code = error.code if isinstance(error, ServingError) else "INVALID_ARGUMENT"
    return ServingError(code, f"the warm-up request {count} of {path} failed: {text}")
