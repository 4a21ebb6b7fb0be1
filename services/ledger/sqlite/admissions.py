"""Inside a transaction of the SQLite ledger: the questions that were let in, held against newcomers; and refusals."""

import sqlite3
from typing import Final

from services.contracts.codec import canonical
from services.core.dedupe.minhash import Candidate, Known, Sketch, closest
from services.core.ledger.ports import Refusal
from services.ledger.encoding.refusals import decode, encode

PRUNED: Final = {
    "refusal": "DELETE FROM refusal WHERE (case_id, named, life) IN "
    "(SELECT case_id, named, life FROM refusal WHERE at < ? LIMIT ?)",
    "known": "DELETE FROM known WHERE id IN (SELECT id FROM known WHERE at < ? LIMIT ?)",
    "band": "DELETE FROM band WHERE (key, known) IN (SELECT key, known FROM band WHERE at < ? LIMIT ?)",
}


def refusal(db: sqlite3.Connection, submission: tuple[str, str, int]) -> Refusal | None:
    """Why the submission was refused when it came first; None where it was let in, or by a worker that refuses none."""
    query = "SELECT refusal FROM refusal WHERE case_id = ? AND named = ? AND life = ?"
    row = db.execute(query, submission).fetchone()
    return decode(row[0]) if row else None


def keep_refusal(db: sqlite3.Connection, now: float, submission: tuple[str, str, int], refusal: Refusal | None) -> None:
    """Of a submission that comes first; one that was kept of an admission since pruned goes."""
    db.execute("DELETE FROM refusal WHERE case_id = ? AND named = ? AND life = ?", submission)
    if refusal is not None:
        db.execute("INSERT INTO refusal VALUES (?, ?, ?, ?, ?)", (*submission, now, encode(refusal)))


def let_in(db: sqlite3.Connection, now: float, case_id: str, candidate: Candidate, *, anyway: bool) -> Refusal | None:
    """Remember the newcomer, unless one that is known is too like it: then say which."""
    if db.execute("SELECT 1 FROM known WHERE case_id = ?", (case_id,)).fetchone():
        return None
    matches = [] if anyway else [match for known in _found(db, candidate.sketch) if (match := known.match(candidate))]
    if match := closest(matches):
        return Refusal("near_duplicate", match)
    insert = "INSERT INTO known (case_id, at, signature, shown_id, shown_text) VALUES (?, ?, ?, ?, ?)"
    row = db.execute(insert, (case_id, now, candidate.sketch.signature, candidate.id, candidate.text)).lastrowid
    bands = [(band, row, now) for band in candidate.sketch.bands]
    db.executemany("INSERT OR REPLACE INTO band VALUES (?, ?, ?)", bands)  # a pruned one's number may be given again
    return None


def _found(db: sqlite3.Connection, sketch: Sketch) -> list[Known]:
    """Those that share a band with the sketch."""
    query = (
        "SELECT case_id, signature, shown_id, shown_text FROM known "
        "WHERE id IN (SELECT known FROM band WHERE key IN (SELECT value FROM json_each(?)))"
    )
    return [Known(*row) for row in db.execute(query, (canonical(list(sketch.bands)).decode(),))]
