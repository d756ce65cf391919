"""The gateway's application: a route per task, its docs page, health, metrics, and errors in words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from tfkit_serving.gateway.catalog import Catalog
from tfkit_serving.gateway.envelope import NOTES, Application, Envelope, Notes
from tfkit_serving.gateway.feedback_route import FEEDBACK_FIELDS, add_feedback_route
from tfkit_serving.gateway.logs import RequestLog
from tfkit_serving.gateway.metrics import GatewayMetrics
from tfkit_serving.gateway.options import GatewayOptions
from tfkit_serving.gateway.problem import Problem
from tfkit_serving.gateway.schema import Batch, answer_type, field_errors, request_type
from tfkit_serving.gateway.service import Answered, Call, Service
from tfkit_serving.gateway.task import Task
from tfkit_serving.gateway.upstream import ModelClient, Upstream
from tfkit_serving.gateway.watch import Watch

_LABEL = "^[A-Za-z0-9._-]{1,128}$"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The model server refuses these rows; its text is passed on."},
    422: {"description": "A field is missing, unknown, or not of its type or shape."},
    503: {"description": "The model server is not there, or busy; Retry-After says when to try again."},
    504: {"description": "The model server took too long."},
}


def create_gateway(
    catalog: Catalog, client: ModelClient, options: GatewayOptions | None = None, log: RequestLog | None = None
) -> Application:
    """The gateway in front of a model server, as an ASGI application.

    Args:
        catalog: The tasks; each gets the route `POST /<name>`.
        client: The server's client; it is closed with the application, if it has a `close`.
        options: Bounds, splits, shadows and keys.
        log: Where requests are written; None writes all of them to standard output.
    """
    options = options or GatewayOptions()
    log = log if log is not None else RequestLog()
    metrics = GatewayMetrics()
    service = Service(Upstream(client, metrics, options.timeout), catalog, Watch(metrics, options), metrics, options)
    api = FastAPI(
        title="tfkit gateway",
        description="Models in the words of what they are for.",
        lifespan=_lifespan(service, client),
        redoc_url=None,
        # Checked by the envelope, before the body; here for the docs page's button.
        dependencies=[Security(HTTPBearer(auto_error=False))] if options.keys else [],
    )
    for task in catalog.tasks.values():
        _add_route(api, task, service, options)
        add_feedback_route(api, task, catalog, service.watch)
    _add_own_routes(api, service, metrics)
    _add_handlers(api, catalog)
    return Envelope(api, frozenset(catalog.tasks), options, metrics, log)


def _add_route(api: FastAPI, task: Task, service: Service, options: GatewayOptions) -> None:
    async def answer(
        request: Request,
        body: Any,
        label: Annotated[str | None, Query(pattern=_LABEL, description="A version label, such as canary.")] = None,
        version: Annotated[int | None, Query(ge=0, lt=2**63, description="A version's number.")] = None,
        scores: Annotated[bool, Query(description="Give the scores of all classes.")] = False,
    ) -> Response:
        if label is not None and version is not None:
            raise Problem(400, "a request goes to a label or to a version: give one of ?label= and ?version=")
        notes = _notes(request)
        rows = body.rows if isinstance(body, Batch) else [body]
        call = Call(notes.request_id, version, label, scores, _sticky(request, options, notes))
        answered = await service.answer(task, [row.arrays() for row in rows], call)
        notes.version = answered.version
        return _reply(answered, isinstance(body, Batch))

    answer.__annotations__["body"] = request_type(task, options.max_rows)
    api.add_api_route(
        f"/{task.name}",
        answer,
        methods=["POST"],
        summary=f"{task.name}: {task.kind or 'outputs by name'}",
        description=task.description,
        response_model=None,
        responses={200: {"model": answer_type(task)}, **_PROBLEMS},
        operation_id=task.name,
        tags=[task.name],
    )


def _add_own_routes(api: FastAPI, service: Service, metrics: GatewayMetrics) -> None:
    @api.get("/healthz", tags=["gateway"], summary="The gateway lives.")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/readyz", tags=["gateway"], summary="Every task's model is served.", responses={503: _PROBLEMS[503]})
    async def readyz() -> dict[str, Any]:
        versions, missing = {}, {}
        for name in service.catalog.tasks:
            try:
                versions[name] = await service.version(name)
            except Problem as problem:
                missing[name] = problem.detail
        if missing:
            errors = [{"field": name, "detail": detail} for name, detail in missing.items()]
            raise Problem(503, f"not served: {', '.join(missing)}", retry_after=1.0, errors=errors)
        return {"status": "ready", "versions": versions}

    @api.get("/metrics", tags=["gateway"], summary="Metrics, as Prometheus reads them.")
    async def show_metrics() -> Response:
        return PlainTextResponse(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_handlers(api: FastAPI, catalog: Catalog) -> None:
    def tell(request: Request, problem: Problem, headers: Any = None) -> Response:
        notes = _notes(request)
        notes.error = problem.detail
        return problem.response(notes.request_id, headers)

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return tell(request, error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        name, _, rest = request.url.path.strip("/").partition("/")
        task = catalog.tasks.get(name)
        errors = field_errors(task, error.errors(), FEEDBACK_FIELDS if rest else ()) if task else []
        detail = "; ".join(f"{each['field']}: {each['detail']}" for each in errors[:3])
        return tell(request, Problem(422, detail or "the request is not valid", errors=errors[:20]))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = ", ".join(f"POST /{name}" for name in catalog.tasks)
        words = {
            400: "the body is no JSON: it is not UTF-8, or nested too deep",
            404: f"there is no {request.url.path}; there are {known}, and /docs",
            405: f"{request.url.path} takes no {request.method}; there are {known}, and /docs",
        }
        return tell(request, Problem(error.status_code, words.get(error.status_code, str(error.detail))), error.headers)

    async def on_fault(request: Request, error: Exception) -> Response:
        return tell(request, Problem(500, f"a fault of the gateway itself, {type(error).__name__}: see its log"))

    api.add_exception_handler(Problem, on_problem)
    api.add_exception_handler(RequestValidationError, on_invalid)
    api.add_exception_handler(HTTPException, on_http)
    api.add_exception_handler(Exception, on_fault)


def _lifespan(service: Service, client: ModelClient) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.shadow.close()
        if close := getattr(client, "close", None):
            await close()

    return lifespan


def _notes(request: Request) -> Notes:
    notes = request.scope[NOTES]
    assert isinstance(notes, Notes)
    return notes


def _sticky(request: Request, options: GatewayOptions, notes: Notes) -> str | None:
    """What keeps the caller on one label; the same header by every gateway gives the same label."""
    if options.sticky == "api-key":
        return notes.key.name if notes.key else None
    return request.headers.get(options.sticky)


def _reply(answered: Answered, batch: bool) -> Response:
    headers = {"X-Model-Version": str(answered.version)}
    if answered.label is not None:
        headers["X-Model-Label"] = answered.label
    body: Any = {"rows": answered.answers} if batch else answered.answers[0]
    return Response(orjson.dumps(body), headers=headers, media_type="application/json")
