"""POST /questions: one question, an array, or NDJSON."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.contracts.base import CaseId, RecipeId
from services.contracts.topics import Lane
from services.core.messages import OutgoingRecord
from services.gateway.http.answers import SlotResponse, in_pieces
from services.gateway.http.metrics import Metrics
from services.gateway.http.openapi import NDJSON, QUESTIONS_BODY, QUESTIONS_RESPONSES
from services.gateway.http.refusals import FieldError, Refused, malformed
from services.gateway.http.slots import Slots
from services.gateway.ingest.body import chunks, form, is_array, read_json
from services.gateway.ingest.publishing import Publisher
from services.gateway.ingest.submissions import from_array, from_json, parted
from services.gateway.ingest.upload import Upload
from services.recipes.published import why_unknown

UNDER_WAY = 256
"""The most concurrent questions; the next one is refused as busy. While Kafka is away each waits 10 s with its body, at
most 64 MiB in all."""

BATCHES = 8
"""The most concurrent arrays and NDJSON bodies. Each buffers at most 4 MiB of the request and 4 MiB of the response."""


class Choice(BaseModel):
    """The query. Unknown names are refused, since a misspelt one would select another recipe."""

    model_config = ConfigDict(extra="forbid")

    recipe: RecipeId | None = Field(default=None, description="Ask for this recipe; none: the current one.")
    lane: Lane = Field(default="live", description="backfill: questions that may wait; live ones go first everywhere.")
    ids: bool = Field(default=False, description="For lines: also return the case id of each accepted one.")


class Accepted(BaseModel):
    """Kafka holds the question."""

    case_id: CaseId


class Result(BaseModel):
    """The result of one question of an array: its case id where Kafka holds it, else the error."""

    index: int = Field(description="Its place in the array, from 0.")
    case_id: CaseId | None = None
    error: str | None = None
    fields: list[FieldError] | None = None


class Batch(BaseModel):
    """The results of an array."""

    accepted: int
    refused: int
    results: list[Result] = Field(description="One for each question, in order.")


class Questions:
    """The route's dependencies."""

    def __init__(
        self,
        publisher: Publisher,
        metrics: Metrics,
        draining: asyncio.Event,
        published: Callable[[], Mapping[str, str] | None],
        *,
        under_way: int = UNDER_WAY,
        batches: int = BATCHES,
    ) -> None:
        self._publisher = publisher
        self._metrics = metrics
        self._draining = draining
        self._published = published
        self._places = Slots(under_way, "questions")
        self._batches = Slots(batches, "batches")

    def check_recipe(self, recipe_id: str | None) -> None:
        """Refuse a recipe that is not published. While the published ones aren't known, the router checks. Raises
        Refused."""
        published = self._published()
        if recipe_id is None or published is None:
            return
        if why := why_unknown(recipe_id, published):
            raise malformed([FieldError(field="query.recipe", why=why)])

    async def json(self, request: Request, choice: Choice) -> Response:
        """A question or an array of them. Raises Refused."""
        with ExitStack() as held:
            held.enter_context(self._places)
            body = await read_json(request, on_array=lambda: held.enter_context(self._batches))
            if is_array(body):
                return await self._array(body, choice)
            message = from_json(body, choice.recipe, choice.lane)
            await self._publisher.publish([message])
        return JSONResponse({"case_id": message.key.decode()}, 202)

    def lines(self, request: Request, choice: Choice) -> Response:
        """A body of lines, read when the response is sent. Raises Refused then."""

        async def take() -> Response:
            upload = Upload(
                self._publisher,
                self._metrics,
                self._draining,
                recipe_id=choice.recipe,
                lane=choice.lane,
                with_ids=choice.ids,
            )
            answer, stopped = await upload.take(chunks(request))
            if stopped is None:
                return in_pieces(answer, 207 if upload.refused else 202, media_type=NDJSON)
            self._metrics.refuse(stopped.reason)
            return in_pieces(answer, stopped.status, media_type=NDJSON, headers=stopped.headers)

        return SlotResponse(self._batches, take)

    async def _array(self, body: bytes, choice: Choice) -> Response:
        decided = from_array(body, choice.recipe, choice.lane)
        messages, refused = parted(decided)
        await self._publisher.publish(messages)
        self._metrics.batch("array", accepted=len(messages), refused=len(refused))
        for each in refused:
            self._metrics.refuse(each.reason)
        content = {"accepted": len(messages), "refused": len(refused), "results": _results(decided)}
        return JSONResponse(content, 207 if refused else 202)


def routes(questions: Questions) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["questions"])
    described = {**QUESTIONS_RESPONSES, 207: {"model": Batch, **QUESTIONS_RESPONSES[207]}}

    @router.post(
        "/questions",
        status_code=202,
        summary="Submit questions",
        response_model=Accepted | Batch,
        responses=described,
        openapi_extra=QUESTIONS_BODY,
    )
    async def submit(request: Request, choice: Annotated[Choice, Query()]) -> Response:
        """Accepts multiple-choice questions with their gold answers, and responds once Kafka has confirmed them. Each
        is accepted or refused separately.

        - **One** (`application/json`, an object of at most 256 KiB): a case id.
        - **An array** (`application/json`, at most 1,000 questions and 4 MiB): a result for each, in order. An array
          that is no JSON is refused as a whole.
        - **Lines** (`application/x-ndjson`, any number; each at most 256 KiB, and within ten seconds of the one
          before): the body is read to its end, then the response has a line for each refused line, with `ids=true` also
          one for each accepted line, and finally the totals. Blank lines are skipped, but counted. If reading stops
          early, the status has the reason (503: Kafka is unavailable), and `accepted_through` is the last line up to
          which every line is decided: send the rest again, or all of it.

        The case id is a digest of the question itself (stem, options, answer, context): the same question always has
        the same id, and is processed once for each named recipe, and once for none. Additional
        fields are kept with the question. `lane=backfill` is for large amounts that may wait: every stage takes live
        questions first.
        """
        questions.check_recipe(choice.recipe)
        if form(request) == "json":
            return await questions.json(request, choice)
        return questions.lines(request, choice)

    return router


def _results(decided: Sequence[OutgoingRecord | Refused]) -> list[dict[str, Any]]:
    return [
        {"index": index, "case_id": each.key.decode()}
        if isinstance(each, OutgoingRecord)
        else {"index": index, **each.refusal.model_dump()}
        for index, each in enumerate(decided)
    ]
