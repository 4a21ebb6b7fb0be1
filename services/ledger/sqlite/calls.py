"""Leases and finished calls in SQLite."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.ledger.calls import Outcome
from services.core.ledger.ports import Claim, Done, Elsewhere, Mine
from services.core.ledger.spending import Price
from services.ledger.encoding.outcomes import decode, encode
from services.ledger.sqlite.budgets import charge, remember
from services.ledger.sqlite.commits import SqliteCommits

_Lease = tuple[int, str, float]
"""Row, owner, until."""

PRUNED: Final = {
    "call": "DELETE FROM call WHERE id IN (SELECT id FROM call WHERE at < ? LIMIT ?)",
    "claim": "DELETE FROM claim WHERE id IN (SELECT id FROM claim WHERE until < ? LIMIT ?)",
}


class SqliteCalls:
    """The port Calls."""

    def __init__(self, commits: SqliteCommits) -> None:
        self._commits = commits

    async def claim(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[Claim]:
        found = await self._commits.run(partial(_claim, call_ids=call_ids, owner=owner, lease_s=lease_s))
        return [Done(decode(claim)) if isinstance(claim, bytes) else claim for claim in found]

    async def renew(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[bool]:
        return await self._commits.run(partial(_renew, call_ids=call_ids, owner=owner, lease_s=lease_s))

    async def release(self, call_ids: Sequence[CallId], *, owner: str) -> None:
        await self._commits.run(partial(_release, call_ids=call_ids, owner=owner))

    async def complete(
        self, outcomes: Mapping[CallId, Outcome], *, owner: str, prices: Mapping[CallId, Price] | None = None
    ) -> list[Outcome]:
        by_call = prices or {}
        written = {call_id: encode(outcome, by_call.get(call_id)) for call_id, outcome in outcomes.items()}
        charges = {call_id: (price, outcomes[call_id].usage) for call_id, price in by_call.items()}
        statement = partial(_complete, outcomes=written, owner=owner, charges=charges)
        earlier = await self._commits.run(statement, durable=True)
        return [decode(held) if held else own for held, own in zip(earlier, outcomes.values(), strict=True)]

    async def remember(self, found: Sequence[tuple[Price, Usage]]) -> None:
        await self._commits.run(partial(remember, found=found))


def _claim(
    db: sqlite3.Connection, now: float, *, call_ids: Sequence[CallId], owner: str, lease_s: float
) -> list[bytes | Mine | Elsewhere]:
    return [_outcome(db, call_id) or _lease_call(db, now, call_id, owner, lease_s) for call_id in call_ids]


def _renew(db: sqlite3.Connection, now: float, *, call_ids: Sequence[CallId], owner: str, lease_s: float) -> list[bool]:
    return [_extend(db, now, _lease(db, call_id), owner, lease_s) for call_id in call_ids]


def _release(db: sqlite3.Connection, now: float, *, call_ids: Sequence[CallId], owner: str) -> None:
    for call_id in call_ids:
        lease = _lease(db, call_id)
        if lease and lease[1] == owner and lease[2] > now:
            _end(db, lease, "released", now)


def _complete(
    db: sqlite3.Connection,
    now: float,
    *,
    outcomes: Mapping[CallId, bytes],
    owner: str,
    charges: Mapping[CallId, tuple[Price, Usage]],
) -> list[bytes | None]:
    """For each call: the earlier outcome, or None where this one was written and charged."""
    earlier = [_complete_one(db, now, call_id, outcome, owner) for call_id, outcome in outcomes.items()]
    written = [call_id for call_id, held in zip(outcomes, earlier, strict=True) if held is None]
    charge(db, [charges[call_id] for call_id in written if call_id in charges])
    return earlier


def _outcome(db: sqlite3.Connection, call_id: CallId) -> bytes | None:
    row = db.execute("SELECT outcome FROM call WHERE call_id = ?", (call_id,)).fetchone()
    return row[0] if row else None


def _lease(db: sqlite3.Connection, call_id: CallId) -> _Lease | None:
    """The call's latest lease, if it is open; it may have expired."""
    query = "SELECT id, owner, until, ended FROM claim WHERE call_id = ? ORDER BY id DESC LIMIT 1"
    row = db.execute(query, (call_id,)).fetchone()
    return row[:3] if row and row[3] == "open" else None


def _lease_call(db: sqlite3.Connection, now: float, call_id: CallId, owner: str, lease_s: float) -> Mine | Elsewhere:
    lease = _lease(db, call_id)
    if _extend(db, now, lease, owner, lease_s):
        return Mine(lease_s)
    if lease and lease[2] > now:
        return Elsewhere(lease[2] - now)
    insert = "INSERT INTO claim (call_id, owner, since, until) VALUES (?, ?, ?, ?)"
    db.execute(insert, (call_id, owner, now, now + lease_s))
    return Mine(lease_s)


def _extend(db: sqlite3.Connection, now: float, lease: _Lease | None, owner: str, lease_s: float) -> bool:
    if not lease or lease[1] != owner or lease[2] <= now:
        return False
    db.execute("UPDATE claim SET until = ? WHERE id = ?", (max(lease[2], now + lease_s), lease[0]))
    return True


def _end(db: sqlite3.Connection, lease: _Lease, ended: str, now: float) -> None:
    db.execute("UPDATE claim SET ended = ?, until = ? WHERE id = ?", (ended, min(lease[2], now), lease[0]))


def _complete_one(db: sqlite3.Connection, now: float, call_id: CallId, outcome: bytes, owner: str) -> bytes | None:
    insert = "INSERT OR IGNORE INTO call (call_id, owner, at, outcome) VALUES (?, ?, ?, ?)"
    if not db.execute(insert, (call_id, owner, now, outcome)).rowcount:
        return _outcome(db, call_id)
    lease = _lease(db, call_id)
    if lease and lease[1] == owner:
        _end(db, lease, "completed", now)
    elif lease and lease[2] > now:
        _end(db, lease, "released", now)
    return None
