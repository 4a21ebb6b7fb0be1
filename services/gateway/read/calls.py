"""GET /cases/{id}/calls and /calls/{id}: the model calls that a case rests on."""

from collections.abc import Mapping, Sequence
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.contracts.base import CallId, CaseId, WorkId
from services.core.errors import BrokerAway, LedgerAway
from services.core.ledger.ports import CallRow
from services.core.status.case_status import CaseHistory
from services.gateway.http.answers import SlotResponse, in_pieces
from services.gateway.http.openapi import AWAY, NOT_UNDERSTOOD, UNKNOWN
from services.gateway.http.refusals import Refused, away
from services.gateway.http.slots import Slots
from services.gateway.read.lazily import Lazily
from services.gateway.read.reading import Reading, store_away
from services.ledger import Ledger
from services.lineage.calls import CaseCall, Finished
from services.lineage.case import RecipeOf, case_calls
from services.lineage.data import call_data, texts


class LazyBooks:
    """The ledger's books, opened at first use."""

    def __init__(self, ledger: Lazily[Ledger]) -> None:
        self._ledger = ledger

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        """As in Finished."""
        return await (await self._ledger.store()).books.found(call_ids)


class CallView(BaseModel):
    """One model call."""

    call_id: str
    stage: str
    path: str = Field(description="Origin, round and slot of its path; empty for a summary.")
    alias: str
    model: str = Field(description="served name@revision")
    life: int
    ask: int = Field(description="0; each ask after an unreadable reply adds one.")
    seed: int
    temperature: float
    max_tokens: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    usd: float = Field(description="At the recipe's prices.")
    at: str | None = Field(description="When it ended.")
    sends: int | None = Field(description="HTTP requests sent for it; null: an older version made it.")
    outcome: Literal["reply", "failure", "absent"] = Field(description="absent: not made yet, or pruned.")
    finish_reason: str | None
    problem: str = Field(description="Why it failed, or why its reply is incomplete.")


class CallTexts(CallView):
    """One model call, whole."""

    case_id: CaseId
    work_id: str
    system: str | None
    prompt: str = Field(description="As it was sent: rendered again from recipe and case.")
    reply: str | None
    thinking: str | None


class WorkCalls(BaseModel):
    """The calls of a case under one recipe."""

    work_id: str
    calls: list[CallView] = Field(description="In the order in which the stages asked.")


class CallsView(BaseModel):
    """The calls of a case."""

    case_id: CaseId
    works: list[WorkCalls]


class CallRoutes:
    """The routes' dependencies."""

    def __init__(self, reading: Reading, books: Finished, recipe_of: RecipeOf, reads: Slots) -> None:
        self._reading = reading
        self._books = books
        self._recipe_of = recipe_of
        self._reads = reads

    def of_case(self, case_id: CaseId) -> Response:
        """Every call of a case."""

        async def make() -> Response:
            works = await self._calls(await self._reading.seen(case_id))
            view = CallsView(
                case_id=case_id,
                works=[
                    WorkCalls(work_id=work_id, calls=[CallView(**call_data(call)) for call in calls])
                    for work_id, calls in works.items()
                ],
            )
            return in_pieces(view.model_dump_json().encode())

        return SlotResponse(self._reads, make)

    def whole(self, call_id: CallId) -> Response:
        """One call with its texts."""

        async def make() -> Response:
            history = await self._reading.seen(await self._case_of(call_id))
            for work_id, calls in (await self._calls(history)).items():
                for call in calls:
                    if call.call_id == call_id:
                        about = {"case_id": history.case_id, "work_id": work_id}
                        view = CallTexts(**call_data(call), **about, **texts(call))
                        return in_pieces(view.model_dump_json().encode())
            raise _unknown()

        return SlotResponse(self._reads, make)

    async def _case_of(self, call_id: CallId) -> CaseId:
        try:
            row = (await self._books.found([call_id])).get(call_id)
        except LedgerAway as error:
            raise store_away() from error
        if row is None or row.origin is None:
            raise _unknown()
        return row.origin.case_id

    async def _calls(self, history: CaseHistory) -> dict[WorkId, list[CaseCall]]:
        try:
            return await case_calls(history, self._reading.bodies, self._recipe_of, self._books)
        except LedgerAway as error:
            raise store_away() from error
        except (BrokerAway, TimeoutError) as error:
            raise away("kafka_away", "The messages cannot be read from Kafka now: try again.") from error


def _unknown() -> Refused:
    return Refused(
        404, "unknown", "The ledger has no such call: it was not made, was pruned, or is of an older version."
    )


def routes(shown: CallRoutes) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["cases"])

    @router.get(
        "/cases/{case_id}/calls",
        summary="A case's model calls",
        response_model=CallsView,
        responses=UNKNOWN | NOT_UNDERSTOOD | AWAY,
    )
    async def calls(case_id: CaseId) -> Response:
        """Each call that its paths and records rest on: stage, path, seed, tokens, cost, sends. As far as Kafka still
        has the case's messages."""
        return shown.of_case(case_id)

    @router.get(
        "/calls/{call_id}",
        summary="One model call",
        response_model=CallTexts,
        responses=UNKNOWN | NOT_UNDERSTOOD | AWAY,
    )
    async def call(call_id: CallId) -> Response:
        """With its prompt (rendered again), reply and thinking, as long as the ledger has the call."""
        return shown.whole(call_id)

    return router
