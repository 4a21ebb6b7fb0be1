"""The status store in memory: a fake with the same promises."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from services.contracts.base import CaseId
from services.core.errors import LedgerAway
from services.core.status.case_status import CaseEvent, CaseHistory, CaseStatus
from services.core.status.store import Filter, Tally
from services.ledger.encoding import case_status as encoding


class MemoryStatusStore:
    """Statuses in the memory of one process. If `away` is set, every method raises LedgerAway with that reason."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.away: str | None = None
        self._clock = clock
        self._cases: dict[CaseId, CaseHistory] = {}
        self._sums: Counter[encoding.Count] = Counter()
        self._published: bytes | None = None
        self._minutes: dict[int, bytes] = {}

    async def observe(self, events: Sequence[CaseEvent]) -> None:
        self._check()
        for case_id, new in encoding.by_case(events).items():
            self._cases[case_id], delta = self._cases.get(case_id, CaseHistory(case_id)).with_(new)
            self._sums.update(encoding.counts(delta, self._now_ms()))

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        self._check()
        return self._cases.get(case_id)

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        self._check()
        found = [each for each in self._statuses() if which.takes(each)]
        return sorted(found, key=lambda status: -status.since_ms)[:limit]

    async def tally(self, now_ms: int) -> Tally:
        self._check()
        oldest: dict[str, int] = {}
        for status in self._statuses():
            if status.end is None:
                oldest[status.topic] = min(status.since_ms, oldest.get(status.topic, status.since_ms))
        return encoding.tally(self._sums.items(), oldest, now_ms)

    async def publish(self, figures: bytes) -> None:
        self._check()
        self._published = figures
        oldest = encoding.oldest_slice(self._now_ms())
        self._sums = Counter(
            {count: n for count, n in self._sums.items() if count[0] != "slice" or int(count[2]) >= oldest}
        )

    async def published(self) -> bytes | None:
        self._check()
        return self._published

    async def keep_minute(self, minute: int, snapshot: bytes) -> None:
        self._check()
        first = encoding.oldest_minute(minute)
        self._minutes = {at: kept for at, kept in self._minutes.items() if at >= first} | {minute: snapshot}

    async def minutes(self, since: int) -> list[bytes]:
        self._check()
        return [kept for at, kept in sorted(self._minutes.items()) if at >= since]

    async def prune(self, older_than_s: float) -> int:
        self._check()
        before = self._now_ms() - int(older_than_s * 1000)
        gone = [case_id for case_id, case in self._cases.items() if case.ended_before(before)]
        for case_id in gone:
            del self._cases[case_id]
        return len(gone)

    def _statuses(self) -> list[CaseStatus]:
        return [status for case in self._cases.values() for status in case.statuses()]

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _check(self) -> None:
        if self.away is not None:
            raise LedgerAway(self.away)
