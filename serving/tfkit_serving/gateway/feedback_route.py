"""The route that takes labels back: POST /<task>/feedback."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from tfkit_serving.feedback import UnknownPrediction
from tfkit_serving.gateway.catalog import Catalog
from tfkit_serving.gateway.problem import Problem
from tfkit_serving.gateway.task import Task
from tfkit_serving.gateway.watch import Watch

_Label = StrictStr | StrictInt | StrictFloat


class Feedback(BaseModel):
    """What the answer should have been."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(max_length=128, description="The X-Request-Id of the prediction's answer.")]
    label: Annotated[
        _Label | list[_Label], Field(description="The right class or value; a list of them where the request had rows.")
    ]


FEEDBACK_FIELDS = tuple(Feedback.model_fields)


class Feedbacked(BaseModel):
    """The quality of the version that had answered, over the rows labelled last."""

    model_config = ConfigDict(protected_namespaces=())

    version: int | None
    rows: int = Field(description="Labelled rows in the window.")
    accuracy: float | None = None
    mean_absolute_error: float | None = None
    root_mean_squared_error: float | None = None


def add_feedback_route(api: FastAPI, task: Task, catalog: Catalog, watch: Watch) -> None:
    """Adds the route of a task whose answers can be compared with a label: a class, or one value."""
    if task.kind is None:
        return

    async def feedback(body: Feedback) -> Any:
        labels = body.label if isinstance(body.label, list) else [body.label]
        _check_classes(task, catalog.classes(task), labels)
        try:
            version, quality = watch.add_labels(task, body.request_id, labels)
        except UnknownPrediction as error:
            raise Problem(404, str(error)) from None
        except ValueError as error:
            raise Problem(422, str(error), errors=[{"field": "label", "detail": str(error)}]) from None
        return {"version": version, **vars(quality)}

    api.add_api_route(
        f"/{task.name}/feedback",
        feedback,
        methods=["POST"],
        summary=f"{task.name}: what the answer should have been",
        response_model=Feedbacked,
        operation_id=f"{task.name}_feedback",
        tags=[task.name],
        responses={404: {"description": "No prediction of that request_id waits for a label."}},
    )


def _check_classes(task: Task, classes: Sequence[str], labels: Sequence[Any]) -> None:
    """A misspelt class would count as a wrong prediction for ever."""
    if task.kind != "classification":
        return
    for label in labels:
        if isinstance(label, str) and label not in classes:
            known = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
            detail = f"{task.name!r} has no class {label!r}; there are {known}"
            raise Problem(422, detail, errors=[{"field": "label", "detail": detail}])
