"""The request and answer models of a task, made from its signature; FastAPI checks with them and documents them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainValidator, Tag, WithJsonSchema, create_model

from tfkit.formats.signature import Tensor
from tfkit_serving.gateway.images import pixel_scale, read_image
from tfkit_serving.gateway.task import Task
from tfkit_serving.gateway.values import expected, json_schema, read_value

_ONE, _BATCH = "one", "batch"
_ROWS = {
    "too_short": "got none",
    "too_long": "got {actual_length}, and one request takes {max_length}: send them in several",
}


class Row(BaseModel):
    """One row of input; its fields are the inputs of the signature."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def arrays(self) -> dict[str, np.ndarray]:
        """The row's values by the inputs' names, without the batch's dimension."""
        fields = type(self).model_fields
        return {str(info.alias): getattr(self, name) for name, info in fields.items()}


class Batch(BaseModel):
    """Several rows of input."""

    model_config = ConfigDict(extra="forbid")

    rows: list[Any]


class Classification(BaseModel):
    """A class and its score; with ?scores=true the scores of all classes."""

    label: str | None = Field(description="The class with the largest score; null if that is not a number.")
    score: float | None = Field(description="What the model answered for it.")
    scores: dict[str, float | None] | None = Field(None, description="Scores of all classes, with ?scores=true.")


class Regression(BaseModel):
    """A value."""

    value: Any = Field(description="A number; a list of them where the model answers more than one.")


def request_type(task: Task, max_rows: int) -> Any:
    """What a task's route takes: a row, or {"rows": […]} with at most `max_rows` rows, as a type for FastAPI."""
    row = row_model(task)
    many: Any = Annotated[list[row], Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
    batch = create_model(f"{task.name}_batch", __base__=Batch, rows=(many, ...))
    return Annotated[Annotated[row, Tag(_ONE)] | Annotated[batch, Tag(_BATCH)], Discriminator(_form)]


def row_model(task: Task) -> type[Row]:
    """The pydantic model of one row, with the example of `tfkit.json`.

    Example:
        >>> from tfkit.formats.signature import Signature
        >>> task = Task("digits", 1, Signature((Tensor("pixels", "float32", (None, 2)),), ()))
        >>> row_model(task).model_validate({"pixels": [0, 1]}).arrays()
        {'pixels': array([0., 1.], dtype=float32)}
    """
    # Inputs may have any name; a field of pydantic's may not, so that the name is its alias.
    fields: dict[str, Any] = {
        f"input_{number}": (
            _tensor_type(tensor, pixel_scale(tensor, task.profile)),
            Field(alias=tensor.name, title=tensor.name),
        )
        for number, tensor in enumerate(task.signature.inputs)
    }
    model = create_model(f"{task.name}_row", __base__=Row, **fields)
    if task.example:
        model.model_config["json_schema_extra"] = {"examples": [dict(task.example)]}
        model.model_rebuild(force=True)
    return model


def answer_type(task: Task) -> Any:
    """What a task's route answers, for the docs: one answer, or {"rows": […]}."""
    one: Any = {"classification": Classification, "regression": Regression}.get(str(task.kind), dict[str, Any])
    return one | create_model(f"{task.name}_answers", rows=(list[one], ...))


def field_errors(task: Task, errors: Sequence[Mapping[str, Any]], fields: Sequence[str] = ()) -> list[dict[str, str]]:
    """What was wrong with each field, in words.

    Args:
        task: The task that was called.
        errors: What pydantic found.
        fields: Names of what the route takes; empty for the task's inputs.

    Returns:
        Per error "field", such as "rows[3].text", and "detail".
    """
    names = fields or [tensor.name for tensor in task.signature.inputs]
    return [{"field": _path(error["loc"]), "detail": _words(task, error, names)} for error in errors]


def _tensor_type(tensor: Tensor, scale: float | None) -> Any:
    schema = {**json_schema(tensor), "description": f"{expected(tensor)} ({tensor.dtype})"}
    if scale is None:
        return Annotated[Any, PlainValidator(partial(read_value, tensor)), WithJsonSchema(schema)]
    image = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    either = {"anyOf": [schema, image], "description": f"{schema['description']}, or a PNG in base64"}
    return Annotated[Any, PlainValidator(partial(_read_either, tensor, scale)), WithJsonSchema(either)]


def _read_either(tensor: Tensor, scale: float, value: Any) -> np.ndarray:
    return read_image(tensor, value, scale) if isinstance(value, str) else read_value(tensor, value)


def _form(value: Any) -> str:
    return _BATCH if isinstance(value, Batch) or (isinstance(value, Mapping) and "rows" in value) else _ONE


def _path(location: Sequence[str | int]) -> str:
    """Where, without "body" and the tag that pydantic puts there."""
    parts = [each for place, each in enumerate(location) if not (place < 2 and each in ("body", _ONE, _BATCH))]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "body"


def _words(task: Task, error: Mapping[str, Any], fields: Sequence[str]) -> str:
    kind, name = error["type"], error["loc"][-1] if error["loc"] else ""
    tensors = {tensor.name: tensor for tensor in task.signature.inputs}
    if kind == "missing":
        return f"is missing; expected {expected(tensors[name])}" if name in tensors else "is missing"
    if kind == "extra_forbidden":
        return f"is no field of {task.name!r}; there {'is' if len(fields) == 1 else 'are'} {', '.join(fields)}"
    if kind == "json_invalid":
        return f"is no JSON: {error.get('ctx', {}).get('error', '')}"
    if kind in ("model_attributes_type", "model_type", "dict_type"):
        return f"expected an object with {', '.join(fields)}"
    if name == "rows":
        return f"expected a list of rows; {_ROWS.get(kind, 'got something else').format(**error.get('ctx', {}))}"
    return str(error["msg"]).removeprefix("Value error, ")
