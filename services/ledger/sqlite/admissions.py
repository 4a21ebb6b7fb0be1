"""Admissions in SQLite, and the questions that later ones are compared with."""

import sqlite3
from functools import partial
from typing import Final

from services.contracts.base import CaseId, RecipeId
from services.contracts.codec import canonical
from services.core.dedupe.minhash import Candidate, Known, Sketch, closest
from services.core.ledger.ports import Admission, Refusal
from services.core.messages import Position
from services.ledger.encoding.refusals import decode, encode
from services.ledger.sqlite.commits import SqliteCommits

_Submission = tuple[CaseId, str, int]
"""Case id, named recipe or "", life."""

_FIRST = (
    'SELECT recipe_id, topic, partition, "offset" FROM admission WHERE case_id = ? AND named = ? AND life = ? AND first'
)
_INSERT_FIRST = "INSERT OR REPLACE INTO admission VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_DUPLICATE = "INSERT OR IGNORE INTO admission VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"

PRUNED: Final = {
    "admission": 'DELETE FROM admission WHERE (case_id, named, life, topic, partition, "offset") IN '
    '(SELECT case_id, named, life, topic, partition, "offset" FROM admission WHERE at < ? LIMIT ?)',
    "refusal": "DELETE FROM refusal WHERE (case_id, named, life) IN "
    "(SELECT case_id, named, life FROM refusal WHERE at < ? LIMIT ?)",
    "known": "DELETE FROM known WHERE id IN (SELECT id FROM known WHERE at < ? LIMIT ?)",
    "band": "DELETE FROM band WHERE (key, known) IN (SELECT key, known FROM band WHERE at < ? LIMIT ?)",
}


class SqliteAdmissions:
    """The port Admissions."""

    def __init__(self, commits: SqliteCommits) -> None:
        self._commits = commits

    async def admit(
        self,
        case_id: CaseId,
        *,
        named: RecipeId | None,
        current: RecipeId,
        life: int,
        position: Position,
        refusal: Refusal | None = None,
        candidate: Candidate | None = None,
    ) -> Admission:
        statement = partial(
            _admit,
            submission=(case_id, named or "", life),
            recipe_id=named or current,
            position=position,
            refusal=refusal,
            candidate=candidate,
        )
        return await self._commits.run(statement, durable=True)


def _admit(
    db: sqlite3.Connection,
    now: float,
    *,
    submission: _Submission,
    recipe_id: RecipeId,
    position: Position,
    refusal: Refusal | None,
    candidate: Candidate | None,
) -> Admission:
    here = (position.topic, position.partition, position.offset)
    first = db.execute(_FIRST, submission).fetchone()
    if first and first[1:] == here:
        return Admission("same", first[0], _refusal(db, submission))
    if first:  # a redelivered duplicate replaces nothing
        db.execute(_INSERT_DUPLICATE, (*submission, *here, False, first[0], now))
        return Admission("duplicate", first[0])
    if refusal is None and candidate is not None:
        refusal = _compare(db, now, submission[0], candidate, redrive=submission[2] > 0)
    # It may replace a duplicate whose own first was pruned.
    db.execute(_INSERT_FIRST, (*submission, *here, True, recipe_id, now))
    _put_refusal(db, now, submission, refusal)
    return Admission("first", recipe_id, refusal)


def _refusal(db: sqlite3.Connection, submission: _Submission) -> Refusal | None:
    query = "SELECT refusal FROM refusal WHERE case_id = ? AND named = ? AND life = ?"
    row = db.execute(query, submission).fetchone()
    return decode(row[0]) if row else None


def _put_refusal(db: sqlite3.Connection, now: float, submission: _Submission, refusal: Refusal | None) -> None:
    """Write the refusal of a first submission, in place of one that is left from a pruned admission."""
    db.execute("DELETE FROM refusal WHERE case_id = ? AND named = ? AND life = ?", submission)
    if refusal is not None:
        db.execute("INSERT INTO refusal VALUES (?, ?, ?, ?, ?)", (*submission, now, encode(refusal)))


def _compare(
    db: sqlite3.Connection, now: float, case_id: CaseId, candidate: Candidate, *, redrive: bool
) -> Refusal | None:
    """The refusal of a near-duplicate; else remember the candidate."""
    if db.execute("SELECT 1 FROM known WHERE case_id = ?", (case_id,)).fetchone():
        return None
    matches = [] if redrive else [match for known in _found(db, candidate.sketch) if (match := known.match(candidate))]
    if match := closest(matches):
        return Refusal("near_duplicate", match)
    insert = "INSERT INTO known (case_id, at, signature, shown_id, shown_text) VALUES (?, ?, ?, ?, ?)"
    row = db.execute(insert, (case_id, now, candidate.sketch.signature, candidate.id, candidate.text)).lastrowid
    bands = [(band, row, now) for band in candidate.sketch.bands]
    db.executemany("INSERT OR REPLACE INTO band VALUES (?, ?, ?)", bands)  # SQLite may reuse a pruned row's number
    return None


def _found(db: sqlite3.Connection, sketch: Sketch) -> list[Known]:
    """The questions that share a band with the sketch."""
    query = (
        "SELECT case_id, signature, shown_id, shown_text FROM known "
        "WHERE id IN (SELECT known FROM band WHERE key IN (SELECT value FROM json_each(?)))"
    )
    return [Known(*row) for row in db.execute(query, (canonical(list(sketch.bands)).decode(),))]
