"""RestWords: requests and replies of TensorFlow Serving's REST API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import numpy as np
from google.protobuf import json_format

from tfkit_serving.client.examples import Features
from tfkit_serving.client.exchange import Request
from tfkit_serving.client.inputs import shape_text
from tfkit_serving.client.json_values import read_array, read_json, write_json
from tfkit_serving.client.metadata import ModelMetadata
from tfkit_serving.client.replies import Classification
from tfkit_serving.protocol.dtypes import IN_JSON, type_name
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import SignatureDefMap
from tfkit_serving.servables.requests import ModelSpec
from tfkit_serving.servables.signature import Signature
from tfkit_serving.servables.status import VersionStatus

_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED", 409: "ABORTED", 413: "RESOURCE_EXHAUSTED", 429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_SHOWN = 300


def accept_reply(status: int, body: bytes) -> bytes:
    """The body of an answer, if it is none of refusal.

    Args:
        status: The HTTP status.
        body: What came with it.

    Raises:
        ServingError: The server refused or failed; with its own text.

    Example:
        >>> accept_reply(404, b'{"error": "Servable not found for request: Latest(nope)"}')
        Traceback (most recent call last):
        tfkit_serving.protocol.errors.ServingError: Servable not found for request: Latest(nope)
    """
    if status == 200:
        return body
    code = _STATUSES.get(status) or ("INTERNAL" if status >= 500 else "UNKNOWN")
    try:
        text = read_json(body)["error"]
    except (ValueError, TypeError, KeyError):
        words = " ".join(body.decode("utf-8", "replace").split())[:_SHOWN]
        text = f"HTTP status {status}" + (f": {words}" if words else "")
    raise ServingError(code, str(text))


class RestWords:
    """Requests and replies of the REST API.

    Args:
        prefix: The path before /v1/.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def check(self, inputs: Mapping[str, np.ndarray], signature: Signature, where: str) -> None:
        """Refuses dtypes that JSON does not carry, and empty arrays whose further dimensions it loses."""
        for role, infos in (("input", signature.inputs), ("output", signature.outputs)):
            for name, info in infos.items():
                if info.dtype not in IN_JSON and (role == "output" or name in inputs):
                    _refuse(f"{role} {name!r} of {where} is {type_name(info.dtype)}, which REST does not carry")
        for name, array in inputs.items():
            if array.size == 0 and 0 in array.shape[:-1]:
                _refuse(f"input {name!r} of {where} is empty, and JSON has no form for shape {shape_text(array.shape)}")

    def predict(self, spec: ModelSpec, signature: str | None, inputs: Mapping[str, np.ndarray] | np.ndarray) -> Request:
        """A request in column form, which carries whatever row form does, and outputs without rows too."""
        value: Any = inputs
        if isinstance(inputs, Mapping):
            # The one name "b64" would be taken for bytes in base64.
            value = inputs["b64"] if inputs.keys() == {"b64"} else dict(inputs)
        return self._post(spec, "predict", {"inputs": value}, signature)

    def outputs(self, body: bytes, signature: Signature | None) -> dict[str, np.ndarray]:
        """The outputs by name; one alone has the signature's name for it, or ""."""
        value = read_json(body)["outputs"]
        infos = signature.outputs if signature else {}
        if not isinstance(value, dict) or value.keys() == {"b64"}:
            name = next(iter(infos)) if len(infos) == 1 else ""
            value = {name: value}
        return {name: read_array(each, infos.get(name)) for name, each in value.items()}

    def classify(
        self, spec: ModelSpec, signature: str | None, examples: Sequence[Features], context: Features | None
    ) -> Request:
        """The request for classes."""
        return self._examples(spec, "classify", signature, examples, context)

    def classes(self, body: bytes) -> list[list[Classification]]:
        """The classes of each example."""
        return [[Classification(str(label), float(score)) for label, score in each] for each in _results(body)]

    def regress(
        self, spec: ModelSpec, signature: str | None, examples: Sequence[Features], context: Features | None
    ) -> Request:
        """The request for a regression."""
        return self._examples(spec, "regress", signature, examples, context)

    def values(self, body: bytes) -> np.ndarray:
        """The value of each example."""
        return np.array(_results(body), dtype=np.float32)

    def metadata(self, spec: ModelSpec) -> Request:
        """The request for signatures."""
        return Request(f"{self._path(spec)}/metadata", verb="GET")

    def signatures(self, body: bytes) -> ModelMetadata:
        """A version's signatures; fields that a newer server adds are passed over."""
        value = read_json(body)
        message = _signature_defs(value["metadata"]["signature_def"])
        signatures = {
            name: Signature.from_bytes(each.SerializeToString()) for name, each in message.signature_def.items()
        }
        spec = value["model_spec"]
        return ModelMetadata(spec["name"], int(spec["version"]), signatures)

    def status(self, spec: ModelSpec) -> Request:
        """The request for the states of versions."""
        return Request(self._path(spec), verb="GET")

    def states(self, body: bytes) -> list[VersionStatus]:
        """The states of versions."""
        return [
            VersionStatus(
                int(each["version"]), each["state"], each["status"]["error_code"], each["status"]["error_message"]
            )
            for each in read_json(body)["model_version_status"]
        ]

    def ready(self) -> Request:
        """The request that `tfkit serve` answers with 200 or 503; TensorFlow Serving knows no such path."""
        return Request(f"{self._prefix}/readyz", verb="GET")

    def is_ready(self, body: bytes) -> bool:
        """Whatever is said with status 200."""
        return True

    def reload(self, config: Any) -> Request:
        """Refused: REST has no such call."""
        raise ServingError("UNIMPLEMENTED", 'REST cannot reload: use Client("host:8500", transport="grpc")')

    def reloaded(self, body: bytes) -> None:
        """Never asked."""

    def _examples(
        self,
        spec: ModelSpec,
        action: str,
        signature: str | None,
        examples: Sequence[Features],
        context: Features | None,
    ) -> Request:
        shared = {} if context is None else {"context": context}
        return self._post(spec, action, {**shared, "examples": list(examples)}, signature)

    def _post(self, spec: ModelSpec, action: str, content: dict[str, Any], signature: str | None) -> Request:
        named = content if signature is None else {"signature_name": signature, **content}
        return Request(f"{self._path(spec)}:{action}", write_json(named))

    def _path(self, spec: ModelSpec) -> str:
        path = f"{self._prefix}/v1/models/{quote(spec.name, safe='')}"
        if spec.version is not None:
            return f"{path}/versions/{spec.version}"
        return path if spec.label is None else f"{path}/labels/{quote(spec.label, safe='')}"


def _signature_defs(value: Any) -> Any:
    try:
        return json_format.ParseDict(value, SignatureDefMap(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from None


def _results(body: bytes) -> list[Any]:
    return list(read_json(body)["results"])


def _refuse(why: str) -> NoReturn:
    raise ServingError("INVALID_ARGUMENT", f'{why}: use gRPC, Client("host:8500", transport="grpc")')
