"""GET /cases and /figures: the status and results of cases, and the live figures."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.contracts.base import CaseId, RecipeId
from services.contracts.case import Difficulty
from services.contracts.topics import lane_of, stage_topic, topics
from services.core.errors import LedgerAway
from services.core.status.figures import Figures
from services.core.status.store import Filter
from services.gateway.http.answers import JSON, SlotResponse, in_pieces
from services.gateway.http.cache import TtlCache
from services.gateway.http.metrics import Metrics
from services.gateway.http.openapi import AWAY, NOT_UNDERSTOOD, UNKNOWN, Responses, as_json, events
from services.gateway.http.refusals import away
from services.gateway.http.slots import Slots
from services.gateway.read.events import TICK_S, Seen, changes
from services.gateway.read.reading import Reading, store_away
from services.gateway.read.views import CasesView, CaseView, StoryView, TopicView, status_view, topic_view

READS = 8
"""The most concurrent reads of cases from Kafka, until they are sent: each has some 300 KB per work, and as much for
its records."""

LISTENERS = 64
"""The most concurrent event streams."""


def _known_topic(name: str) -> str:
    if name not in topics():
        raise ValueError("unknown topic: GET /topics lists them")
    return stage_topic(name)


class Wanted(BaseModel):
    """Which cases."""

    model_config = ConfigDict(extra="forbid")

    topic: Annotated[str, AfterValidator(_known_topic)] | None = Field(
        default=None, description="The topic of their latest message."
    )
    end: Literal["open", "accepted", "rejected", "dead", "refused"] | None = Field(
        default=None, description="How they ended; `open`: not ended."
    )
    difficulty: Difficulty | None = None
    source: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The source of the questions."
    )
    recipe: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="The recipe's id or name.")
    subject: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The subject of the questions."
    )
    text: Annotated[str, Field(min_length=1, max_length=120)] | None = Field(
        default=None, description="In the first 120 characters of the question, in upper or lower case."
    )
    score: int | None = Field(default=None, ge=0, le=5, description="A record has this score or a higher one.")
    limit: int = Field(default=50, ge=1, le=500)


class CaseRoutes:
    """The routes' dependencies."""

    def __init__(
        self,
        reading: Reading,
        metrics: Metrics,
        draining: asyncio.Event,
        *,
        reads: Slots,
        names: Callable[[], Mapping[str, str] | None] = lambda: None,
        listeners: int = LISTENERS,
    ) -> None:
        self._reading = reading
        self._metrics = metrics
        self._draining = draining
        self._reads = reads
        self._names = names
        self._listeners = Slots(listeners, "streams of events")
        self._looked_up = TtlCache(self._look_up, TICK_S)

    async def figures(self) -> bytes:
        """The figures that the monitor published. Raises Refused (503)."""
        try:
            found = await self._reading.lookup.published()
        except LedgerAway as error:
            raise store_away() from error
        if found is None:
            raise away("store_away", "No figures yet: the monitor publishes them. Is it running?")
        return found

    async def cases(self, wanted: Wanted) -> CasesView:
        """The latest matching cases. Raises Refused (503)."""
        which = Filter(**wanted.model_dump(exclude={"limit", "recipe"}), recipe=self._recipe(wanted.recipe))
        try:
            found = await self._reading.lookup.latest(which, limit=wanted.limit)
        except LedgerAway as error:
            raise store_away() from error
        return CasesView(cases=[status_view(status) for status in found])

    def _recipe(self, given: str | None) -> RecipeId | None:
        """The id of a recipe that is given by its id or its name, of several the one published last."""
        if given is None:
            return None
        by_name = {name: recipe_id for recipe_id, name in (self._names() or {}).items()}
        return RecipeId(by_name.get(given, given))

    def case(self, case_id: CaseId) -> Response:
        """The status and records of a case."""

        async def make() -> Response:
            found = await self._reading.case(await self._reading.seen(case_id))
            return in_pieces(found.model_dump_json().encode())

        return SlotResponse(self._reads, make)

    def story(self, case_id: CaseId) -> Response:
        """Its messages."""

        async def make() -> Response:
            found = await self._reading.story(await self._reading.seen(case_id))
            return in_pieces(found.model_dump_json().encode())

        return SlotResponse(self._reads, make)

    async def listening(self) -> AsyncIterator[None]:
        """A dependency that holds a slot during a stream. Raises Refused (503) if none is free."""
        with self._listeners, self._metrics.listeners.track_inprogress():
            yield

    def figures_stream(self) -> AsyncIterator[ServerSentEvent]:
        """The figures on each change, read once for all listeners."""

        async def look() -> Seen | None:
            found = await self._looked_up()
            if isinstance(found, LedgerAway):
                raise LedgerAway(str(found))
            return None if found is None else Seen(found)

        return changes("figures", look, self._draining)

    def case_stream(self, case_id: CaseId) -> AsyncIterator[ServerSentEvent]:
        """The case's status on each change, until it has ended."""
        return changes("standing", lambda: self._reading.status(case_id), self._draining)

    async def _look_up(self) -> bytes | LedgerAway | None:
        try:
            return await self._reading.lookup.published()
        except LedgerAway as error:
            return error  # cached like a result, so that not every listener retries


def routes(shown: CaseRoutes, no_key: Responses) -> APIRouter:
    """The routes. `no_key`: the refusal where keys are needed."""
    router = APIRouter()

    @router.get("/figures", summary="The live figures", tags=["figures"], response_model=Figures, responses=AWAY)
    async def figures() -> Response:
        """Open cases by topic, ends and cost, as last published by the monitor."""
        return Response(await shown.figures(), media_type=JSON)

    @router.get(
        "/figures/stream",
        summary="The live figures as they change",
        tags=["figures"],
        response_class=EventSourceResponse,
        dependencies=[Depends(shown.listening)],
        responses={
            200: events("The figures as events.", 'event: figures\ndata: {"at": …}\n\n'),
            **as_json(AWAY | no_key),
        },
    )
    async def figures_stream() -> AsyncIterator[ServerSentEvent]:
        """Server-sent events: `figures` at once and on each change, with the same JSON as `GET /figures`; `away` while
        the store does not answer."""
        async for each in shown.figures_stream():
            yield each

    @router.get("/topics", summary="The topics of the stream", tags=["figures"])
    async def all_topics() -> list[TopicView]:
        """Each topic with its writers, readers and message type, in the order in which a case passes them; the backfill
        lane's, named NAME-backfill, are alike."""
        return [topic_view(topic) for topic in topics().values() if lane_of(topic.name) == "live"]

    @router.get(
        "/cases",
        summary="Cases by topic, end, difficulty, source, recipe, subject, text, score",
        tags=["cases"],
        responses=NOT_UNDERSTOOD | AWAY,
    )
    async def cases(wanted: Annotated[Wanted, Query()]) -> CasesView:
        """The last changed first, among at least the last 10,000 cases."""
        return await shown.cases(wanted)

    @router.get(
        "/cases/{case_id}",
        summary="A case's status and records",
        tags=["cases"],
        response_model=CaseView,
        responses=UNKNOWN | NOT_UNDERSTOOD | AWAY,
    )
    async def case(case_id: CaseId) -> Response:
        """Its steps through the topics under each recipe, and the records of ended works."""
        return shown.case(case_id)

    @router.get(
        "/cases/{case_id}/story",
        summary="A case's messages",
        tags=["cases"],
        response_model=StoryView,
        responses=UNKNOWN | NOT_UNDERSTOOD | AWAY,
    )
    async def story(case_id: CaseId) -> Response:
        """The complete latest message of the case, read from Kafka: the question, and every path with its verdict,
        reason, score and parents; then its records. Messages that retention has deleted are null, with a note."""
        return shown.story(case_id)

    @router.get(
        "/cases/{case_id}/events",
        summary="A case's status as it changes",
        tags=["cases"],
        response_class=EventSourceResponse,
        dependencies=[Depends(shown.listening)],
        responses={
            200: events("The case as events.", 'event: standing\ndata: {"case_id": …}\n\n'),
            **as_json(NOT_UNDERSTOOD | AWAY | no_key),
        },
    )
    async def case_events(case_id: CaseId) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events: `standing` at once and on each change, with the same JSON as `GET /cases/{case_id}`
        without its records; `end` once each of its works has ended, as the last event; `away` while the store does not
        answer. The stream waits for a case that does not exist yet."""
        async for each in shown.case_stream(case_id):
            yield each

    return router
