"""The handler of every topic: records an event of its case; at the case's end, settles its budget reservation."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.contracts.base import WorkId
from services.contracts.topics import RECORD_COMPLETED
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.core.status.case_status import CaseEvent
from services.core.status.store import StatusStore
from services.monitor.events import Unreadable, case_event

log = structlog.get_logger(__name__)

Settle = Callable[[WorkId, int], Awaitable[None]]
"""A work id and a life that have ended: services.core.ledger.ports.Budgets.settle."""


@dataclass
class Seen:
    """Counts of this process, since its start."""

    messages: int = 0
    unreadable: int = 0
    behind_s: float = 0.0
    """Seconds from the writing of the latest record to its reading."""


class CaseRecorder:
    """Records events in the status store; publishes nothing."""

    def __init__(self, statuses: StatusStore, settle: Settle, clock: Callable[[], float] = time.time) -> None:
        self.seen = Seen()
        self._statuses = statuses
        self._settle = settle
        self._clock = clock

    async def __call__(self, message: ConsumedRecord) -> Sequence[OutgoingRecord]:
        """Record the event. An unreadable record is skipped: its own service dead-letters it. Raises LedgerAway."""
        self.seen.messages += 1
        self.seen.behind_s = max(0.0, self._clock() - message.timestamp_ms / 1000)
        try:
            found = case_event(message)
        except Unreadable as error:
            self.seen.unreadable += 1
            log.info("record skipped", what=str(error))
            return []
        await self._statuses.observe([found])
        if found.work_id and await self._ended(found):
            await self._settle(found.work_id, found.life)
        return []

    async def _ended(self, found: CaseEvent) -> bool:
        """Whether its work has ended in this life: with the last of its records, in whatever order they arrive."""
        if found.topic != RECORD_COMPLETED:
            return found.end is not None
        if found.of == 1:
            return True
        case = await self._statuses.case(found.case_id)
        return case is not None and any(
            (each.work_id, each.life, each.end) == (found.work_id, found.life, "accepted") for each in case.statuses()
        )
