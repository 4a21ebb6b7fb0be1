"""The HTTP interface, put together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from services.core.messages import Sink
from services.gateway.http import operation
from services.gateway.http.dashboard import Dashboard
from services.gateway.http.keys import needs_key
from services.gateway.http.metrics import Metrics
from services.gateway.http.openapi import DESCRIPTION, NO_KEY, TAGS
from services.gateway.http.refusals import Refusal, Refused, field_errors, malformed
from services.gateway.http.slots import Slots
from services.gateway.ingest import questions
from services.gateway.ingest.publishing import PUBLISH_WITHIN_S, Publisher
from services.gateway.read import calls, cases, history
from services.gateway.read.reading import Bodies, Lookup, Reading
from services.lineage.calls import Finished
from services.lineage.case import RecipeOf


@dataclass(frozen=True)
class Outside:
    """The gateway's dependencies."""

    sink: Sink
    reachable: Callable[[], Awaitable[bool]]
    """Whether Kafka answers now; called once a second at most."""
    lookup: Lookup
    bodies: Bodies
    books: Finished
    recipe_of: RecipeOf
    """A published recipe."""
    published: Callable[[], Mapping[str, str] | None] = lambda: None
    """The published recipes' names by id; None while they are not known."""


@dataclass(frozen=True)
class Bounds:
    """Limits for clients."""

    publish_within_s: float = PUBLISH_WITHIN_S
    under_way: int = questions.UNDER_WAY
    batches: int = questions.BATCHES
    reads: int = cases.READS
    listeners: int = cases.LISTENERS


def create_app(
    outside: Outside,
    *,
    keys: Sequence[SecretStr] = (),
    bounds: Bounds = Bounds(),
    draining: asyncio.Event | None = None,
) -> FastAPI:
    """The application. With `keys`, questions and cases need one of them; health, metrics and the dashboard's files
    need none. Once `draining` is set, streams end."""
    app = FastAPI(
        title="ReasonMed as a stream",
        version="1.1",
        description=DESCRIPTION.strip(),
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: route.name,
    )
    metrics = Metrics()
    draining = draining or asyncio.Event()
    publisher = Publisher(outside.sink, metrics, bounds.publish_within_s)
    taken = questions.Questions(
        publisher, metrics, draining, outside.published, under_way=bounds.under_way, batches=bounds.batches
    )
    reading = Reading(outside.lookup, outside.bodies)
    reads = Slots(bounds.reads, "cases")
    shown = cases.CaseRoutes(
        reading, metrics, draining, reads=reads, names=outside.published, listeners=bounds.listeners
    )
    made = calls.CallRoutes(reading, outside.books, outside.recipe_of, reads)
    guard = [Depends(needs_key(keys))] if keys else []
    no_key = NO_KEY if keys else {}
    for router in (
        questions.routes(taken),
        cases.routes(shown, no_key),
        calls.routes(made),
        history.routes(outside.lookup),
    ):
        app.include_router(router, dependencies=guard, responses=no_key)
    app.include_router(operation.routes(outside.reachable, metrics))
    app.mount("/dashboard", GZipMiddleware(Dashboard()))
    _explain_refusals(app, metrics)

    @app.get("/", include_in_schema=False)
    async def start() -> RedirectResponse:
        return RedirectResponse("/dashboard/")

    return app


def _explain_refusals(app: FastAPI, metrics: Metrics) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        (metrics.refused if request.method == "POST" else metrics.not_shown).labels(error.reason).inc()
        return JSONResponse(error.refusal.model_dump(), error.status, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> JSONResponse:
        fields = field_errors(error.errors())
        if request.method == "POST":
            return await refused(request, malformed(fields))
        return await refused(
            request, Refused(422, "malformed", "The request is invalid; see the fields.", fields=fields)
        )

    @app.exception_handler(HTTPException)
    async def elsewhere(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(Refusal(error=error.detail).model_dump(), error.status_code, headers=error.headers)
