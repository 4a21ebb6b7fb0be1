"""What can be looked up: where cases stand in the store, and their messages in Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import structlog

from services.contracts.base import CaseId
from services.contracts.codec import Malformed, loads
from services.contracts.topics import QUESTION_REFUSED
from services.core.errors import BrokerAway, LedgerAway
from services.core.messages import ConsumedRecord, Position
from services.core.status.case_status import CaseHistory, CaseStatus
from services.core.status.store import Filter
from services.gateway.http.refusals import Refused, away
from services.gateway.read.events import Seen
from services.gateway.read.views import (
    CASE_TOPICS,
    CaseStanding,
    CaseView,
    StoryView,
    WorkStory,
    case_standing,
    ended,
    latest_in,
    record_positions,
)
from services.ledger.errors import LedgerUnusable

log = structlog.get_logger(__name__)

BODIES_WITHIN_S = 10.0
"""Seconds for Kafka to give a case's messages."""

Bodies = Callable[[Sequence[Position]], Awaitable[list[ConsumedRecord]]]
"""Messages by where they stand; those that retention has deleted are left out. Raises BrokerAway."""


class Lookup(Protocol):
    """What the gateway asks of `core.standings.Standings`. All raise LedgerAway."""

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        """All that was seen of a case."""
        ...

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        """The standings that changed last, latest first."""
        ...

    async def published(self) -> bytes | None:
        """The figures that were published last."""
        ...


class Reading:
    """A case's standing, records and story."""

    def __init__(self, lookup: Lookup, bodies: Bodies, *, bodies_within_s: float = BODIES_WITHIN_S) -> None:
        self.lookup = lookup
        self._bodies = bodies
        self._within_s = bodies_within_s

    async def seen(self, case_id: CaseId) -> CaseHistory:
        """All that was seen of a case. Raises Refused: 404, 503."""
        try:
            seen = await self.lookup.case(case_id)
        except LedgerAway as error:
            raise store_away() from error
        if seen is None or not seen.events:
            raise Refused(
                404, "unknown", "No such case. One that was handed in just now may not have been seen yet: ask again."
            )
        return seen

    async def standing(self, case_id: CaseId) -> Seen | None:
        """Where it stands, to be told as an event. Raises LedgerAway."""
        seen = await self.lookup.case(case_id)
        if seen is None or not seen.events:
            return None
        return Seen(case_standing(seen).model_dump_json().encode(), ended=ended(seen))

    async def case(self, seen: CaseHistory) -> CaseView:
        """Its standing with the records of ended works. Raises Refused (503)."""
        done = [work for work in seen.statuses() if work.end is not None]
        positions = [position for work in done for position in record_positions(seen, work)]
        found = await self._messages(positions)
        standing: CaseStanding = case_standing(seen)
        records = [found[position] for position in positions if position in found]
        return CaseView(**dict(standing), records=records)

    async def story(self, seen: CaseHistory) -> StoryView:
        """The latest message of each of its works, their records, and why it was refused. Raises Refused (503)."""
        plans = [_Plan(seen, work) for work in seen.statuses()]
        found = await self._messages([position for plan in plans for position in plan.positions])
        return StoryView(case_id=seen.case_id, stories=[plan.told(found) for plan in plans])

    async def _messages(self, positions: Sequence[Position]) -> dict[Position, dict[str, Any]]:
        if not positions:
            return {}
        try:
            async with asyncio.timeout(self._within_s):
                messages = await self._bodies(positions)
        except (BrokerAway, TimeoutError) as error:
            raise away("kafka_away", "Kafka does not give the messages now: try again.") from error
        read = ((each.position, _body(each)) for each in messages)
        return {position: body for position, body in read if body is not None}


class _Plan:
    """Which messages tell a work's story."""

    def __init__(self, seen: CaseHistory, work: CaseStatus) -> None:
        self._work_id = work.work_id
        self._case = latest_in(seen, work.work_id, CASE_TOPICS)
        self._refused = latest_in(seen, work.work_id, (QUESTION_REFUSED,))
        self._records = record_positions(seen, work)

    @property
    def positions(self) -> list[Position]:
        """Of all of them."""
        return [position for position in (self._case, self._refused, *self._records) if position is not None]

    def told(self, found: dict[Position, dict[str, Any]]) -> WorkStory:
        """The story, as far as its messages were found."""
        missing = sum(position not in found for position in self.positions)
        return WorkStory(
            work_id=self._work_id,
            case=found.get(self._case) if self._case else None,
            records=[found[position] for position in self._records if position in found],
            refused=found.get(self._refused) if self._refused else None,
            note=f"Kafka holds {missing} of these messages no longer: its retention has deleted them." * bool(missing),
        )


class Store:
    """The standings' store, opened when it is first asked, and again as long as it is away: a gateway whose store is
    away takes questions in."""

    def __init__(self, open_store: Callable[[], AbstractAsyncContextManager[Lookup]]) -> None:
        self._open = open_store
        self._stack = AsyncExitStack()
        self._opened: Lookup | None = None
        self._opening = asyncio.Lock()
        self._said = ""

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        """As Lookup says, and so the others."""
        return await (await self._store()).case(case_id)

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        return await (await self._store()).latest(which, limit=limit)

    async def published(self) -> bytes | None:
        return await (await self._store()).published()

    @asynccontextmanager
    async def until_closed(self) -> AsyncIterator["Store"]:
        """Close it at the block's end."""
        async with self._stack:
            yield self

    async def _store(self) -> Lookup:
        async with self._opening:
            if self._opened is None:
                try:
                    self._opened = await self._stack.enter_async_context(self._open())
                except (LedgerAway, LedgerUnusable) as error:
                    self._say(str(error))
                    raise LedgerAway(str(error)) from error
            return self._opened

    def _say(self, why: str) -> None:
        if why != self._said:  # once, not at each look
            log.warning("the store of standings can't be opened: nothing is shown until it can", error=why)
        self._said = why


def store_away() -> Refused:
    """503."""
    return away("store_away", "Where cases stand can't be looked up now: try again.")


def _body(message: ConsumedRecord) -> dict[str, Any] | None:
    try:
        body = loads(message.value or b"")
    except Malformed:
        return None
    return body if isinstance(body, dict) else None
