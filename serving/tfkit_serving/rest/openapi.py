"""The OpenAPI document of what is served: a path for each model, with examples made of its signatures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfkit_serving.protocol.dtypes import IN_JSON, type_name
from tfkit_serving.servables.signature import Signature, TensorInfo

_DEFAULT = "serving_default"
# The methods whose requests hold rows of Examples, and the dtypes of a row's values in JSON.
_CLASSIFY, _REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_JSON_TYPES = {"string": "string", "bool": "boolean", "float": "number", "double": "number"}
_EXAMPLES = {"string": "text", "boolean": True, "number": 0.5, "integer": 1}
# How many values stand for an axis that is open.
_OPEN = 2
_SIDECAR = "tfkit.json"
SECURITY = {
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "security": [{"key": []}],
}
"""What the document says where an API key is asked for."""


def openapi(servables: Iterable[Any]) -> dict[str, Any]:
    """The document of the newest version of each model.

    Args:
        servables: Those that are available; each has `name`, `version`, `path` and `signatures`.

    Returns:
        What `GET /openapi.json` answers, OpenAPI 3.1.
    """
    newest: dict[str, Any] = {}
    for each in servables:
        if each.name not in newest or each.version > newest[each.name].version:
            newest[each.name] = each
    paths = {}
    for name, servable in sorted(newest.items()):
        paths[f"/v1/models/{name}"] = {"get": _operation(name, "status", "States of its versions.")}
        paths[f"/v1/models/{name}/metadata"] = {"get": _operation(name, "metadata", "Its signatures.")}
        examples = _examples(servable)
        if examples:
            paths[f"/v1/models/{name}:predict"] = {"post": _predict(servable, examples)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Models", "version": "v1", "description": "TensorFlow Serving's REST API."},
        "paths": paths,
    }


def _operation(model: str, what: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": f"{model}-{what}",
        "tags": [model],
        "summary": summary,
        "responses": {"200": {"description": "JSON", "content": {"application/json": {"schema": {"type": "object"}}}}},
    }


def _predict(servable: Any, examples: Mapping[str, Any]) -> dict[str, Any]:
    schemas = [_request(key, servable.signatures[key]) for key in examples]
    found = _operation(servable.name, "predict", f"Runs a signature of version {servable.version}.")
    named = {key: {"value": example} for key, example in examples.items()}
    content = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}, "examples": named}
    found["requestBody"] = {"required": True, "content": {"application/json": content}}
    found["responses"]["400"] = {"description": "The request does not fit: the text is in `error`."}
    return found


def _examples(servable: Any) -> dict[str, Any]:
    """A request for each signature that REST carries, the default one first."""
    keys = sorted(servable.signatures, key=lambda key: (key != _DEFAULT, key))
    return {
        key: _example(key, servable.signatures[key], _kept_row(servable.path))
        for key in keys
        if _is_carried(servable.signatures[key])
    }


def _is_carried(signature: Signature) -> bool:
    if signature.method_name in (_CLASSIFY, _REGRESS) or not signature.inputs or _takes_examples(signature):
        return False
    shapes = [info.shape for info in signature.inputs.values()]
    return all(shape is not None for shape in shapes) and all(
        info.dtype in IN_JSON for info in (*signature.inputs.values(), *signature.outputs.values())
    )


def _takes_examples(signature: Signature) -> bool:
    """Whether it is one for Classify or Regress, over serialized Examples, which Keras names a predict signature."""
    return (
        set(signature.inputs) == {"inputs"}
        and signature.outputs.keys() <= {"classes", "scores", "outputs"}
        and (type_name(signature.inputs["inputs"].dtype) == "string")
    )


def _by_rows(signature: Signature) -> bool:
    tensors = (*signature.inputs.values(), *signature.outputs.values())
    return all(info.shape is not None and info.shape[:1] == (-1,) for info in tensors)


def _example(key: str, signature: Signature, row: Mapping[str, Any]) -> dict[str, Any]:
    request = {} if key == _DEFAULT else {"signature_name": key}
    if not _by_rows(signature):
        return {**request, "inputs": {name: _value(info, info.shape) for name, info in signature.inputs.items()}}
    if row.keys() == signature.inputs.keys():
        return {**request, "instances": [dict(row)]}
    return {
        **request,
        "instances": [{name: _value(info, (info.shape or ())[1:]) for name, info in signature.inputs.items()}],
    }


def _kept_row(path: Path) -> Mapping[str, Any]:
    """The row that an export by tfkit keeps as an example."""
    try:
        row = json.loads((path / _SIDECAR).read_text(encoding="utf-8")).get("example")
    except (OSError, ValueError, AttributeError):
        return {}
    return row if isinstance(row, dict) else {}


def _value(info: TensorInfo, shape: tuple[int, ...] | None) -> Any:
    if not shape:
        return _EXAMPLES[_json_type(info)]
    size = _OPEN if shape[0] < 0 else shape[0]
    return [_value(info, shape[1:])] * size


def _request(key: str, signature: Signature) -> dict[str, Any]:
    by_rows = _by_rows(signature)
    tensors = {
        name: _schema(info, (info.shape or ())[1:] if by_rows else info.shape)
        for name, info in signature.inputs.items()
    }
    row = {"type": "object", "properties": tensors, "required": sorted(tensors)}
    properties: dict[str, Any] = {"signature_name": {"type": "string", "const": key}}
    if by_rows:
        properties["instances"] = {"type": "array", "items": row}
        return {"type": "object", "title": key, "properties": properties, "required": ["instances"]}
    properties["inputs"] = row
    return {"type": "object", "title": key, "properties": properties, "required": ["inputs"]}


def _schema(info: TensorInfo, shape: tuple[int, ...] | None) -> dict[str, Any]:
    if not shape:
        return {"type": _json_type(info), "description": type_name(info.dtype)}
    sizes = {} if shape[0] < 0 else {"minItems": shape[0], "maxItems": shape[0]}
    return {"type": "array", "items": _schema(info, shape[1:]), **sizes}


def _json_type(info: TensorInfo) -> str:
    return _JSON_TYPES.get(type_name(info.dtype), "integer")
