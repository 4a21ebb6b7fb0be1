"""What the SQLite ledger does inside a transaction: functions of the connection and the transaction's time."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from services.contracts.case import Usage
from services.core.dedupe.minhash import Candidate
from services.core.ledger.ports import Admission, Elsewhere, Mine, Refusal
from services.core.ledger.spending import Price
from services.core.messages import Position
from services.ledger.sqlite import admissions, budgets

Submission = tuple[str, str, int]
"""Case id, named recipe or "", life."""

Message = tuple[str, str, int, int]
"""Service, topic, partition, offset."""

_Lease = tuple[int, str, float]
"""Row, owner, until."""

_INSERT_FIRST = "INSERT OR REPLACE INTO admission VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_DUPLICATE = "INSERT OR IGNORE INTO admission VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT_ATTEMPTS = 'SELECT count(*) FROM attempt WHERE service = ? AND topic = ? AND partition = ? AND "offset" = ?'
_DELETE_ATTEMPTS = 'DELETE FROM attempt WHERE service = ? AND topic = ? AND partition = ? AND "offset" = ?'
_DELETE_ATTEMPT = f"{_DELETE_ATTEMPTS} AND owner = ?"

PRUNED: Final = {
    "call": "DELETE FROM call WHERE id IN (SELECT id FROM call WHERE at < ? LIMIT ?)",
    "claim": "DELETE FROM claim WHERE id IN (SELECT id FROM claim WHERE until < ? LIMIT ?)",
    "admission": 'DELETE FROM admission WHERE (case_id, named, life, topic, partition, "offset") IN '
    '(SELECT case_id, named, life, topic, partition, "offset" FROM admission WHERE at < ? LIMIT ?)',
    **admissions.PRUNED,
    "reservation": "DELETE FROM reservation WHERE (work_id, life) IN "
    "(SELECT work_id, life FROM reservation WHERE at < ? AND NOT open LIMIT ?)",
    "attempt": 'DELETE FROM attempt WHERE (service, topic, partition, "offset") IN '
    '(SELECT service, topic, partition, "offset" FROM attempt GROUP BY 1, 2, 3, 4 HAVING max(at) < ? LIMIT ?)',
}


def claim(
    db: sqlite3.Connection, now: float, *, call_ids: Sequence[str], owner: str, lease_s: float
) -> list[bytes | Mine | Elsewhere]:
    """For each call: the bytes of its outcome, or a lease, or who has it."""
    return [_outcome(db, call_id) or _lease_it(db, now, call_id, owner, lease_s) for call_id in call_ids]


def renew(db: sqlite3.Connection, now: float, *, call_ids: Sequence[str], owner: str, lease_s: float) -> list[bool]:
    """Extend what the owner holds; False for the rest."""
    return [_extend(db, now, _lease(db, call_id), owner, lease_s) for call_id in call_ids]


def release(db: sqlite3.Connection, now: float, *, call_ids: Sequence[str], owner: str) -> None:
    """End live leases of the owner."""
    for call_id in call_ids:
        lease = _lease(db, call_id)
        if lease and lease[1] == owner and lease[2] > now:
            _end(db, lease, "released", now)


def complete(
    db: sqlite3.Connection,
    now: float,
    *,
    outcomes: Mapping[str, bytes],
    owner: str,
    paid: Mapping[str, tuple[Price, Usage]],
) -> list[bytes | None]:
    """For each call: the outcome that stood already, or None where this one was written, and put down."""
    stands = [_complete(db, now, call_id, outcome, owner) for call_id, outcome in outcomes.items()]
    written = [call_id for call_id, stood in zip(outcomes, stands, strict=True) if stood is None]
    budgets.pay(db, [paid[call_id] for call_id in written if call_id in paid])
    return stands


def admit(
    db: sqlite3.Connection,
    now: float,
    *,
    submission: Submission,
    recipe_id: str,
    position: Position,
    refusal: Refusal | None,
    candidate: Candidate | None,
) -> Admission:
    """First, the same message again, or a duplicate; and whether it was refused."""
    here = (position.topic, position.partition, position.offset)
    query = (
        'SELECT recipe_id, topic, partition, "offset" FROM admission '
        "WHERE case_id = ? AND named = ? AND life = ? AND first"
    )
    first = db.execute(query, submission).fetchone()
    if first and first[1:] == here:
        return Admission("same", first[0], admissions.refusal(db, submission))
    if first:  # a duplicate that comes again replaces nothing
        db.execute(_INSERT_DUPLICATE, (*submission, *here, False, first[0], now))
        return Admission("duplicate", first[0])
    if refusal is None and candidate is not None:
        refusal = admissions.let_in(db, now, submission[0], candidate, anyway=submission[2] > 0)
    # It may replace a duplicate whose own first was pruned.
    db.execute(_INSERT_FIRST, (*submission, *here, True, recipe_id, now))
    admissions.keep_refusal(db, now, submission, refusal)
    return Admission("first", recipe_id, refusal)


def open_attempt(db: sqlite3.Connection, now: float, *, message: Message, owner: str) -> int:
    """Note the attempt; how many others are open."""
    db.execute("INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?)", (*message, owner, now))
    count: int = db.execute(_COUNT_ATTEMPTS, message).fetchone()[0]
    return count - 1


def close_attempt(db: sqlite3.Connection, _now: float, *, message: Message, owner: str) -> None:
    """Drop the owner's attempt."""
    db.execute(_DELETE_ATTEMPT, (*message, owner))


def forget_attempts(db: sqlite3.Connection, _now: float, *, message: Message) -> None:
    """Drop all attempts of the message."""
    db.execute(_DELETE_ATTEMPTS, message)


def circuit(db: sqlite3.Connection, _now: float, *, service: str) -> str | None:
    """Why it is open."""
    row = db.execute("SELECT why FROM circuit WHERE service = ?", (service,)).fetchone()
    return row[0] if row else None


def set_circuit(db: sqlite3.Connection, _now: float, *, service: str, why: str | None) -> None:
    """Open it with a reason, or close it."""
    db.execute("DELETE FROM circuit WHERE service = ?", (service,))
    if why is not None:
        db.execute("INSERT INTO circuit VALUES (?, ?)", (service, why))


def under_way(db: sqlite3.Connection, now: float) -> dict[str, int]:
    """Live leases by owner."""
    query = "SELECT owner, count(*) FROM claim WHERE ended = 'open' AND until > ? GROUP BY owner"
    return dict(db.execute(query, (now,)).fetchall())


def prune(db: sqlite3.Connection, now: float, *, kind: str, older_than_s: float, limit: int) -> int:
    """Delete some of the rows of this kind that are older; how many."""
    return db.execute(PRUNED[kind], (now - older_than_s, limit)).rowcount


def _outcome(db: sqlite3.Connection, call_id: str) -> bytes | None:
    row = db.execute("SELECT outcome FROM call WHERE call_id = ?", (call_id,)).fetchone()
    return row[0] if row else None


def _lease(db: sqlite3.Connection, call_id: str) -> _Lease | None:
    """The call's latest lease, if nobody has ended it; it may have run out."""
    query = "SELECT id, owner, until, ended FROM claim WHERE call_id = ? ORDER BY id DESC LIMIT 1"
    row = db.execute(query, (call_id,)).fetchone()
    return row[:3] if row and row[3] == "open" else None


def _lease_it(db: sqlite3.Connection, now: float, call_id: str, owner: str, lease_s: float) -> Mine | Elsewhere:
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


def _complete(db: sqlite3.Connection, now: float, call_id: str, outcome: bytes, owner: str) -> bytes | None:
    insert = "INSERT OR IGNORE INTO call (call_id, owner, at, outcome) VALUES (?, ?, ?, ?)"
    if not db.execute(insert, (call_id, owner, now, outcome)).rowcount:
        return _outcome(db, call_id)
    lease = _lease(db, call_id)
    if lease and lease[1] == owner:
        _end(db, lease, "completed", now)
    elif lease and lease[2] > now:
        _end(db, lease, "released", now)
    return None
