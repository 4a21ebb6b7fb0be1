"""Leases and finished calls in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.ledger.calls import Outcome
from services.core.ledger.ports import CallRow, Claim, ClaimRow, Done, Elsewhere, Mine
from services.core.ledger.spending import Price
from services.ledger.encoding.outcomes import origin_of
from services.ledger.memory.budgets import MemoryBudgets
from services.ledger.memory.server import MemoryServer


class MemoryCalls:
    """The port Calls."""

    def __init__(self, server: MemoryServer, budgets: MemoryBudgets) -> None:
        self.calls: dict[CallId, CallRow] = {}
        self.claims: list[ClaimRow] = []
        self._latest: dict[str, int] = {}
        self._server = server
        self._budgets = budgets

    async def claim(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[Claim]:
        now = self._server.now()
        return [self._claim(call_id, owner, lease_s, now) for call_id in call_ids]

    async def renew(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[bool]:
        now = self._server.now()
        return [self._renew(call_id, owner, lease_s, now) for call_id in call_ids]

    async def release(self, call_ids: Sequence[CallId], *, owner: str) -> None:
        now = self._server.now()
        for call_id in call_ids:
            lease = self._lease(call_id)
            if lease and lease.owner == owner and lease.until > now:
                self._set(replace(lease, ended="released", until=now))

    async def complete(
        self, outcomes: Mapping[CallId, Outcome], *, owner: str, prices: Mapping[CallId, Price] | None = None
    ) -> list[Outcome]:
        now = self._server.now()
        for call_id in outcomes.keys() - self.calls.keys():
            if price := (prices or {}).get(call_id):
                self._budgets.charge(price, outcomes[call_id].usage)
        return [
            self._complete(CallRow(call_id, owner, now, outcome, origin_of((prices or {}).get(call_id))))
            for call_id, outcome in outcomes.items()
        ]

    async def remember(self, found: Sequence[tuple[Price, Usage]]) -> None:
        self._server.now()
        for price, usage in found:
            self._budgets.remember(price, usage)

    def prune(self, cutoff: float) -> int:
        """Drop what ended earlier; the number of calls."""
        calls = {call_id: row for call_id, row in self.calls.items() if row.at >= cutoff}
        dropped = len(self.calls) - len(calls)
        self.calls = calls
        self.claims = [row for row in self.claims if row.until >= cutoff]
        self._latest = {row.call_id: at for at, row in enumerate(self.claims)}
        return dropped

    def _lease(self, call_id: CallId) -> ClaimRow | None:
        """The call's latest lease, if it is open; it may have expired."""
        at = self._latest.get(call_id)
        row = None if at is None else self.claims[at]
        return row if row and row.ended == "open" else None

    def _set(self, row: ClaimRow) -> None:
        self.claims[self._latest[row.call_id]] = row

    def _claim(self, call_id: CallId, owner: str, lease_s: float, now: float) -> Claim:
        if done := self.calls.get(call_id):
            return Done(done.outcome)
        if self._renew(call_id, owner, lease_s, now):
            return Mine(lease_s)
        lease = self._lease(call_id)
        if lease and lease.until > now:
            return Elsewhere(lease.until - now)
        self._latest[call_id] = len(self.claims)
        self.claims.append(ClaimRow(call_id, owner, now, now + lease_s, "open"))
        return Mine(lease_s)

    def _renew(self, call_id: CallId, owner: str, lease_s: float, now: float) -> bool:
        lease = self._lease(call_id)
        if not lease or lease.owner != owner or lease.until <= now:
            return False
        self._set(replace(lease, until=max(lease.until, now + lease_s)))
        return True

    def _complete(self, row: CallRow) -> Outcome:
        if done := self.calls.get(row.call_id):
            return done.outcome
        self.calls[row.call_id] = row
        lease = self._lease(row.call_id)
        if lease and lease.owner == row.owner:
            self._set(replace(lease, ended="completed", until=min(lease.until, row.at)))
        elif lease and lease.until > row.at:
            self._set(replace(lease, ended="released", until=row.at))
        return row.outcome
