"""The ledger's fake: all in one process's memory, the same promises, a clock as an argument."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from services.core.dedupe.minhash import Candidate
from services.core.errors import LedgerAway
from services.core.ledger.calls import Outcome
from services.core.ledger.ports import Admission, CallRow, Claim, ClaimRow, Done, Elsewhere, Mine, Refusal
from services.core.ledger.spending import BudgetState, Price, Spending
from services.core.messages import Position
from services.ledger.memory.admissions import MemoryKnown
from services.ledger.memory.budgets import MemoryMoney

_Submission = tuple[str, str, int]
_Message = tuple[str, Position]


class MemoryLedger:
    """A ledger that ends with its process. Set `away` to a reason, and every method raises LedgerAway with it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.away: str | None = None
        self._clock = clock
        self._calls: dict[str, CallRow] = {}
        self._claims: list[ClaimRow] = []
        self._latest: dict[str, int] = {}
        self._first: dict[_Submission, tuple[Position, str, float]] = {}
        self._duplicates: dict[tuple[_Submission, Position], float] = {}
        self._refusals: dict[_Submission, Refusal] = {}
        self._known = MemoryKnown()
        self._attempts: dict[_Message, dict[str, float]] = {}
        self._circuits: dict[str, str] = {}
        self._money = MemoryMoney()

    async def claim(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[Claim]:
        now = self._now()
        return [self._claim(call_id, owner, lease_s, now) for call_id in call_ids]

    async def renew(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[bool]:
        now = self._now()
        return [self._renew(call_id, owner, lease_s, now) for call_id in call_ids]

    async def release(self, call_ids: Sequence[str], *, owner: str) -> None:
        now = self._now()
        for call_id in call_ids:
            lease = self._lease(call_id)
            if lease and lease.owner == owner and lease.until > now:
                self._set(replace(lease, ended="released", until=now))

    async def complete(
        self, outcomes: Mapping[str, Outcome], *, owner: str, prices: Mapping[str, Price] | None = None
    ) -> list[Outcome]:
        now = self._now()
        for call_id in outcomes.keys() - self._calls.keys():
            if price := (prices or {}).get(call_id):
                self._money.pay(price, outcomes[call_id].usage)
        return [self._complete(call_id, outcome, owner, now) for call_id, outcome in outcomes.items()]

    async def spendings(self) -> Sequence[Spending]:
        self._now()
        return self._money.spendings()

    async def budget(self) -> BudgetState:
        self._now()
        return self._money.state()

    async def set_budget(self, limit_nano_usd: int | None) -> None:
        self._now()
        self._money.limit, self._money.waiting = limit_nano_usd, False

    async def reserve(self, case_id: str, work_id: str, life: int, *, recipe_id: str, prior_nano_usd: int) -> bool:
        return self._money.reserve(case_id, (work_id, life), recipe_id, prior_nano_usd, self._now())

    async def settle(self, work_id: str, life: int) -> None:
        self._money.settle((work_id, life), self._now())

    async def admit(
        self,
        case_id: str,
        *,
        named: str | None,
        current: str,
        life: int,
        position: Position,
        refusal: Refusal | None = None,
        candidate: Candidate | None = None,
    ) -> Admission:
        now = self._now()
        submission = (case_id, named or "", life)
        if first := self._first.get(submission):
            if first[0] == position:
                return Admission("same", first[1], self._refusals.get(submission))
            self._duplicates.setdefault((submission, position), now)
            return Admission("duplicate", first[1])
        if refusal is None and candidate is not None:
            refusal = self._known.let_in(case_id, candidate, now, anyway=life > 0)
        self._first[submission] = (position, named or current, now)
        self._duplicates.pop((submission, position), None)  # left from a first that was pruned
        self._refusals.pop(submission, None)
        if refusal is not None:
            self._refusals[submission] = refusal
        return Admission("first", named or current, refusal)

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        now = self._now()
        opened = self._attempts.setdefault((service, position), {})
        opened[owner] = now
        return len(opened) - 1

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        self._now()
        self._attempts.get((service, position), {}).pop(owner, None)

    async def forget_attempts(self, service: str, position: Position) -> None:
        self._now()
        self._attempts.pop((service, position), None)

    async def circuit(self, service: str) -> str | None:
        self._now()
        return self._circuits.get(service)

    async def set_circuit(self, service: str, why: str | None) -> None:
        self._now()
        if why is None:
            self._circuits.pop(service, None)
        else:
            self._circuits[service] = why

    async def claims(self) -> list[ClaimRow]:
        self._now()
        return sorted(self._claims, key=lambda row: row.since)

    async def calls(self) -> list[CallRow]:
        self._now()
        return sorted(self._calls.values(), key=lambda row: row.at)

    async def under_way(self) -> Mapping[str, int]:
        now = self._now()
        return Counter(row.owner for row in self._claims if row.ended == "open" and row.until > now)

    async def admitted(self) -> dict[str, int]:
        self._now()
        return {"first": len(self._first), "duplicate": len(self._duplicates)}

    async def prune(self, older_than_s: float) -> int:
        cutoff = self._now() - older_than_s
        calls = {call_id: row for call_id, row in self._calls.items() if row.at >= cutoff}
        dropped = len(self._calls) - len(calls)
        self._calls = calls
        self._claims = [row for row in self._claims if row.until >= cutoff]
        self._latest = {row.call_id: at for at, row in enumerate(self._claims)}
        self._first = {key: first for key, first in self._first.items() if first[2] >= cutoff}
        self._refusals = {key: refusal for key, refusal in self._refusals.items() if key in self._first}
        self._known.prune(cutoff)
        self._money.prune(cutoff)
        self._duplicates = {key: at for key, at in self._duplicates.items() if at >= cutoff}
        self._attempts = {
            key: opened for key, opened in self._attempts.items() if max(opened.values(), default=0) >= cutoff
        }
        return dropped

    def _now(self) -> float:
        if self.away is not None:
            raise LedgerAway(self.away)
        return self._clock()

    def _lease(self, call_id: str) -> ClaimRow | None:
        """The call's latest lease, if nobody has ended it; it may have run out."""
        at = self._latest.get(call_id)
        row = None if at is None else self._claims[at]
        return row if row and row.ended == "open" else None

    def _set(self, row: ClaimRow) -> None:
        self._claims[self._latest[row.call_id]] = row

    def _claim(self, call_id: str, owner: str, lease_s: float, now: float) -> Claim:
        if done := self._calls.get(call_id):
            return Done(done.outcome)
        if self._renew(call_id, owner, lease_s, now):
            return Mine(lease_s)
        lease = self._lease(call_id)
        if lease and lease.until > now:
            return Elsewhere(lease.until - now)
        self._latest[call_id] = len(self._claims)
        self._claims.append(ClaimRow(call_id, owner, now, now + lease_s, "open"))
        return Mine(lease_s)

    def _renew(self, call_id: str, owner: str, lease_s: float, now: float) -> bool:
        lease = self._lease(call_id)
        if not lease or lease.owner != owner or lease.until <= now:
            return False
        self._set(replace(lease, until=max(lease.until, now + lease_s)))
        return True

    def _complete(self, call_id: str, outcome: Outcome, owner: str, now: float) -> Outcome:
        if done := self._calls.get(call_id):
            return done.outcome
        self._calls[call_id] = CallRow(call_id, owner, now, outcome)
        lease = self._lease(call_id)
        if lease and lease.owner == owner:
            self._set(replace(lease, ended="completed", until=min(lease.until, now)))
        elif lease and lease.until > now:
            self._set(replace(lease, ended="released", until=now))
        return outcome
