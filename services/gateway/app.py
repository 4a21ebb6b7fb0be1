"""The HTTP interface: POST /questions, and what Kubernetes and Prometheus ask."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.exceptions import HTTPException

from services.contracts.base import CaseId, RecipeId
from services.contracts.question import Question
from services.core.errors import BrokerAway
from services.core.ports import Outgoing, Sink
from services.gateway.body import read_json
from services.gateway.keys import needs_key
from services.gateway.metrics import Metrics
from services.gateway.readiness import Readiness
from services.gateway.refusals import Refusal, Refused, field_errors, malformed
from services.gateway.submissions import outgoing, submission

PUBLISH_WITHIN_S = 10.0
"""Seconds that a client waits for Kafka's confirmation before it gets a 503."""

RETRY_AFTER_S = 5
"""What a 503 asks the client to wait: brokers that restart need about so long."""

UNDER_WAY = 256
"""Questions handled at once. While Kafka is away each waits 10 s with its body, 64 MiB at most in all; the next one is
told at once that the gateway is busy."""

EXAMPLE = {
    "question": "Which vitamin deficiency causes scurvy?",
    "options": {"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
    "answer": "C",
    "source": "our-question-bank",
    "id": "0042",
    "subject": "Nutrition",
}

DESCRIPTION = """
Medical multiple-choice questions go in here and become verified chains of thought.

A **202** means that Kafka holds the question. Anything else means that you can't rely on it: send it again. That is
always safe, since the same question has the same case id and is worked on once.
"""

_QUESTION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Question.model_json_schema(), "example": EXAMPLE}},
    }
}
Responses = dict[int | str, dict[str, Any]]

_REFUSALS: Responses = {
    400: {"model": Refusal, "description": "The body ended early."},
    408: {"model": Refusal, "description": "The body came too slowly."},
    413: {"model": Refusal, "description": "The question is larger than 256 KiB."},
    415: {"model": Refusal, "description": "The content isn't application/json, or is compressed."},
    422: {"model": Refusal, "description": "Not a question: `fields` lists each field and what is wrong with it."},
    503: {
        "model": Refusal,
        "description": "Kafka is away, or the gateway busy: send it again.",
        "headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
    },
}
_NO_KEY: Responses = {
    401: {"model": Refusal, "description": "This deployment asks for an API key: none, or a wrong one."}
}


class Choice(BaseModel):
    """What the query may say. A misspelt name is refused: it would be paid for under another recipe."""

    model_config = ConfigDict(extra="forbid")

    recipe: RecipeId | None = Field(default=None, description="Ask for this recipe; none: the current one.")


class Accepted(BaseModel):
    """Kafka holds the question."""

    case_id: CaseId


def create_app(
    sink: Sink,
    reachable: Callable[[], Awaitable[bool]],
    *,
    keys: Sequence[SecretStr] = (),
    publish_within_s: float = PUBLISH_WITHIN_S,
    under_way: int = UNDER_WAY,
) -> FastAPI:
    """The application. `reachable` says whether Kafka answers now; it is asked once a second at most.
    With `keys`, questions are taken only with one of them; health and metrics are open to everyone."""
    app = FastAPI(
        title="ReasonMed as a stream",
        version="1.0",
        description=DESCRIPTION.strip(),
        generate_unique_id_function=lambda route: route.name,
    )
    metrics = Metrics()
    ready = Readiness(reachable)
    gate = _Gate(sink, metrics, publish_within_s, under_way)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        metrics.refuse(error.reason)
        return JSONResponse(error.refusal.model_dump(), error.status, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def query_refused(request: Request, error: RequestValidationError) -> JSONResponse:
        return await refused(request, malformed(field_errors(error.errors())))

    @app.exception_handler(HTTPException)
    async def elsewhere(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(Refusal(error=error.detail).model_dump(), error.status_code, headers=error.headers)

    @app.post(
        "/questions",
        status_code=202,
        summary="Hand in a question",
        tags=["questions"],
        dependencies=[Depends(needs_key(keys))] if keys else [],
        response_description="Kafka holds the question.",
        responses=_REFUSALS | (_NO_KEY if keys else {}),
        openapi_extra=_QUESTION_BODY,
    )
    async def submit(request: Request, choice: Annotated[Choice, Query()]) -> Accepted:
        """Takes one multiple-choice question with its gold answer, and returns its case id once Kafka has confirmed it.

        The case id is a digest of the question itself (stem, options, answer, context): the same question always has
        the same id, and is worked on once for each recipe that is named, and once for none. Fields beyond those below
        are kept and travel with the question. At most 256 KiB.
        """
        async with gate:
            handed_in = submission(await read_json(request), choice.recipe)
            await gate.publish(outgoing(handed_in))
        return Accepted(case_id=handed_in.case_id)

    @app.get("/healthz", response_class=PlainTextResponse, summary="The process is alive", tags=["operation"])
    async def healthz() -> str:
        """Always 200. Says nothing about Kafka: a restart of the gateway wouldn't bring that back."""
        return "alive\n"

    @app.get(
        "/readyz",
        response_class=PlainTextResponse,
        summary="Kafka can be reached",
        tags=["operation"],
        responses={
            503: {"description": "Kafka can't be reached.", "content": {"text/plain": {"schema": {"type": "string"}}}}
        },
    )
    async def readyz(response: Response) -> str:
        """200 where a new connection reaches Kafka, else 503. An answer holds for a second."""
        if await ready():
            return "ready\n"
        response.status_code = 503
        return "Kafka can't be reached\n"

    @app.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus", tags=["operation"])
    async def figures() -> Response:
        """Accepted and refused questions, and how long Kafka takes to confirm."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


class _Gate:
    """Lets so many questions in at once, and publishes them."""

    def __init__(self, sink: Sink, metrics: Metrics, publish_within_s: float, places: int) -> None:
        self._sink = sink
        self._metrics = metrics
        self._publish_within_s = publish_within_s
        self._places = places

    async def __aenter__(self) -> None:
        if self._places == 0:
            raise Refused(503, "busy", "Too many questions at once: send it again.", headers={"Retry-After": "1"})
        self._places -= 1

    async def __aexit__(self, *_: object) -> None:
        self._places += 1

    async def publish(self, message: Outgoing) -> None:
        """Return once Kafka has confirmed. Raises Refused (503): it may hold the question or not."""
        try:
            with self._metrics.publish_seconds.time():
                async with asyncio.timeout(self._publish_within_s):
                    await self._sink.publish([message])
        except (BrokerAway, TimeoutError) as error:
            raise Refused(
                503,
                "kafka_away",
                "Kafka has not confirmed the question: send it again, that is always safe.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            ) from error
        self._metrics.accepted.inc()
