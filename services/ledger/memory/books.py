"""The memory ledger's history."""

from collections import Counter
from collections.abc import Mapping, Sequence

from services.contracts.base import CallId
from services.core.ledger.ports import CallRow, ClaimRow
from services.ledger.memory.admissions import MemoryAdmissions
from services.ledger.memory.attempts import MemoryAttempts
from services.ledger.memory.budgets import MemoryBudgets
from services.ledger.memory.calls import MemoryCalls
from services.ledger.memory.server import MemoryServer


class MemoryBooks:
    """The port Books, over the other ports' state."""

    def __init__(
        self,
        server: MemoryServer,
        *,
        calls: MemoryCalls,
        admissions: MemoryAdmissions,
        attempts: MemoryAttempts,
        budgets: MemoryBudgets,
    ) -> None:
        self._server = server
        self._calls = calls
        self._admissions = admissions
        self._attempts = attempts
        self._budgets = budgets

    async def claims(self) -> list[ClaimRow]:
        self._server.now()
        return sorted(self._calls.claims, key=lambda row: row.since)

    async def calls(self) -> list[CallRow]:
        self._server.now()
        return sorted(self._calls.calls.values(), key=lambda row: row.at)

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        self._server.now()
        return {call_id: self._calls.calls[call_id] for call_id in call_ids if call_id in self._calls.calls}

    async def under_way(self) -> Mapping[str, int]:
        now = self._server.now()
        return Counter(row.owner for row in self._calls.claims if row.ended == "open" and row.until > now)

    async def admitted(self) -> dict[str, int]:
        self._server.now()
        return self._admissions.counts()

    async def prune(self, older_than_s: float, *, admissions_s: float | None = None) -> int:
        now = self._server.now()
        cutoff = now - older_than_s
        for port in (self._attempts, self._budgets):
            port.prune(cutoff)
        if admissions_s is not None:
            self._admissions.prune(now - admissions_s)
        return self._calls.prune(cutoff)
