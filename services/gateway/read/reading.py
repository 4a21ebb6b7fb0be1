"""Reads the status of cases from the store, and their messages from Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from services.contracts.base import CaseId
from services.contracts.codec import Malformed, loads
from services.contracts.topics import QUESTION_REFUSED
from services.core.errors import BrokerAway, LedgerAway
from services.core.messages import ConsumedRecord, Position
from services.core.status.case_status import CaseHistory, CaseStatus
from services.core.status.store import Filter
from services.gateway.http.refusals import Refused, away
from services.gateway.read.events import Seen
from services.gateway.read.lazily import Lazily
from services.gateway.read.views import (
    CASE_TOPICS,
    CaseStatusView,
    CaseView,
    StoryView,
    WorkStory,
    case_status_view,
    ended,
    latest_in,
    record_positions,
)

BODIES_WITHIN_S = 10.0
"""Seconds for reading a case's messages from Kafka."""

Bodies = Callable[[Sequence[Position]], Awaitable[list[ConsumedRecord]]]
"""Reads messages by position; those that retention has deleted are left out. Raises BrokerAway."""


class Lookup(Protocol):
    """The part of core.status.store.StatusStore that the gateway uses. All methods raise LedgerAway."""

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        """The events of a case."""
        ...

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        """The statuses that changed last, latest first."""
        ...

    async def published(self) -> bytes | None:
        """The figures published last."""
        ...

    async def minutes(self, since: int) -> list[bytes]:
        """The totals kept since that minute, oldest first."""
        ...


class Reading:
    """Reads a case's status, records and story."""

    def __init__(self, lookup: Lookup, bodies: Bodies, *, bodies_within_s: float = BODIES_WITHIN_S) -> None:
        self.lookup = lookup
        self._bodies = bodies
        self._within_s = bodies_within_s

    async def seen(self, case_id: CaseId) -> CaseHistory:
        """The events of a case. Raises Refused: 404, 503."""
        try:
            seen = await self.lookup.case(case_id)
        except LedgerAway as error:
            raise store_away() from error
        if seen is None or not seen.events:
            raise Refused(
                404, "unknown", "No such case. A case that was just submitted may appear in a second: try again."
            )
        return seen

    async def status(self, case_id: CaseId) -> Seen | None:
        """The case's status for an event stream. Raises LedgerAway."""
        seen = await self.lookup.case(case_id)
        if seen is None or not seen.events:
            return None
        return Seen(case_status_view(seen).model_dump_json().encode(), ended=ended(seen))

    async def case(self, seen: CaseHistory) -> CaseView:
        """The case's status with the records of ended works. Raises Refused (503)."""
        done = [work for work in seen.statuses() if work.end is not None]
        positions = [position for work in done for position in record_positions(seen, work)]
        found = await self._messages(positions)
        status: CaseStatusView = case_status_view(seen)
        records = [found[position] for position in positions if position in found]
        return CaseView(**dict(status), records=records)

    async def story(self, seen: CaseHistory) -> StoryView:
        """The latest message of each work, the records, and the refusal. Raises Refused (503)."""
        plans = [_Plan(seen, work) for work in seen.statuses()]
        found = await self._messages([position for plan in plans for position in plan.positions])
        return StoryView(case_id=seen.case_id, stories=[plan.story(found) for plan in plans])

    async def bodies(self, positions: Sequence[Position]) -> list[ConsumedRecord]:
        """The messages at these positions. Raises BrokerAway, TimeoutError."""
        async with asyncio.timeout(self._within_s):
            return await self._bodies(positions)

    async def _messages(self, positions: Sequence[Position]) -> dict[Position, dict[str, Any]]:
        if not positions:
            return {}
        try:
            messages = await self.bodies(positions)
        except (BrokerAway, TimeoutError) as error:
            raise away("kafka_away", "The messages cannot be read from Kafka now: try again.") from error
        read = ((each.position, _body(each)) for each in messages)
        return {position: body for position, body in read if body is not None}


class _Plan:
    """The messages of a work's story."""

    def __init__(self, seen: CaseHistory, work: CaseStatus) -> None:
        self._work_id = work.work_id
        self._case = latest_in(seen, work.work_id, CASE_TOPICS)
        self._refused = latest_in(seen, work.work_id, (QUESTION_REFUSED,))
        self._records = record_positions(seen, work)

    @property
    def positions(self) -> list[Position]:
        """The positions of all these messages."""
        return [position for position in (self._case, self._refused, *self._records) if position is not None]

    def story(self, found: dict[Position, dict[str, Any]]) -> WorkStory:
        """The story from the messages that were found."""
        missing = sum(position not in found for position in self.positions)
        return WorkStory(
            work_id=self._work_id,
            case=found.get(self._case) if self._case else None,
            records=[found[position] for position in self._records if position in found],
            refused=found.get(self._refused) if self._refused else None,
            note=f"{missing} of these messages are missing: Kafka's retention has deleted them." * bool(missing),
        )


class Store:
    """The status store, opened at first use."""

    def __init__(self, open_store: Callable[[], AbstractAsyncContextManager[Lookup]]) -> None:
        self._opened = Lazily(open_store)

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        """As in Lookup, like the other methods."""
        return await (await self._opened.store()).case(case_id)

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        return await (await self._opened.store()).latest(which, limit=limit)

    async def published(self) -> bytes | None:
        return await (await self._opened.store()).published()

    async def minutes(self, since: int) -> list[bytes]:
        return await (await self._opened.store()).minutes(since)

    @asynccontextmanager
    async def until_closed(self) -> AsyncIterator["Store"]:
        """Close the store at the end of the block."""
        async with self._opened.until_closed():
            yield self


def store_away() -> Refused:
    """503."""
    return away("store_away", "The status of cases is unavailable now: try again.")


def _body(message: ConsumedRecord) -> dict[str, Any] | None:
    try:
        body = loads(message.value or b"")
    except Malformed:
        return None
    return body if isinstance(body, dict) else None
