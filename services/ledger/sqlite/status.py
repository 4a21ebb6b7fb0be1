"""The status store in a SQLite file of its own next to the ledger's, so that its writers delay no claim.

All of its data can be rebuilt from the topics. So only the figures are written durably, once a second, which also keeps
the write-ahead log short. A power failure may lose the last events, although the reader has acknowledged them.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from services.contracts.base import CaseId
from services.core.status.case_status import CaseEvent, CaseHistory, CaseStatus
from services.core.status.store import MOST_READ, Filter, Tally
from services.ledger.encoding import case_status as encoding
from services.ledger.sqlite.commits import SqliteCommits
from services.ledger.sqlite.file import Kind, connect, prepare, translated

KIND = Kind(
    0x524D5354,  # "RMST"
    """
CREATE TABLE seen (case_id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE standing (
    case_id TEXT, work_id TEXT, topic TEXT NOT NULL, since_ms INTEGER NOT NULL, "end" TEXT NOT NULL,
    difficulty TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (case_id, work_id)
) WITHOUT ROWID;
CREATE INDEX standing_since ON standing (since_ms);
CREATE INDEX standing_open ON standing (topic, since_ms) WHERE "end" = '';
CREATE TABLE count (kind TEXT, a TEXT, b TEXT, c TEXT, n INTEGER NOT NULL, PRIMARY KEY (kind, a, b, c)) WITHOUT ROWID;
CREATE TABLE figures (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
""",
    """
CREATE TABLE IF NOT EXISTS minute (at INTEGER PRIMARY KEY, body BLOB NOT NULL);
""",
)

_PRUNED_AT_ONCE = 500
"""Cases deleted in one transaction, which takes some milliseconds."""


class SqliteStatusStore:
    """The port over one file. Create it with `open`."""

    def __init__(self, path: Path, commits: SqliteCommits, clock: Callable[[], float]) -> None:
        self._path = path
        self._commits = commits
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Callable[[], float] = time.time) -> "AsyncIterator[SqliteStatusStore]":
        """Open the store in this file; a missing file is created. Raises LedgerUnusable, LedgerAway."""
        await asyncio.to_thread(prepare, path, KIND)
        async with SqliteCommits.open(path, clock) as commits:
            yield cls(path, commits, clock)

    async def observe(self, events: Sequence[CaseEvent]) -> None:
        await self._commits.run(partial(_observe, events=events))

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        rows = await self._read("SELECT body FROM seen WHERE case_id = ?", (case_id,))
        return encoding.decode(case_id, rows[0][0]) if rows else None

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        end = "" if which.end == "open" else which.end
        wanted = {"topic": which.topic, '"end"': end, "difficulty": which.difficulty, "source": which.source}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(["true", *(f"{name} = ?" for name in given)])
        rest = replace(which, topic=None, end=None, difficulty=None, source=None)
        rows = await self._read(
            f"SELECT case_id, work_id, body FROM standing JOIN seen USING (case_id) WHERE {where} "  # noqa: S608
            "ORDER BY since_ms DESC LIMIT ?",
            (*given.values(), limit if rest == Filter() else MOST_READ),
        )
        found = (
            status
            for case_id, work_id, body in rows
            for status in encoding.decode(case_id, body).statuses()
            if status.work_id == work_id and rest.takes(status)
        )
        return list(islice(found, limit))

    async def tally(self, now_ms: int) -> Tally:
        rows = await self._read("SELECT kind, a, b, c, n FROM count")
        oldest = await self._read("SELECT topic, min(since_ms) FROM standing WHERE \"end\" = '' GROUP BY topic")
        return encoding.tally((((kind, a, b, c), n) for kind, a, b, c, n in rows), dict(oldest), now_ms)

    async def publish(self, figures: bytes) -> None:
        await self._commits.run(partial(_publish, figures=figures), durable=True)

    async def published(self) -> bytes | None:
        rows = await self._read("SELECT body FROM figures")
        return rows[0][0] if rows else None

    async def keep_minute(self, minute: int, snapshot: bytes) -> None:
        await self._commits.run(partial(_keep_minute, minute=minute, snapshot=snapshot))

    async def minutes(self, since: int) -> list[bytes]:
        return [body for (body,) in await self._read("SELECT body FROM minute WHERE at >= ? ORDER BY at", (since,))]

    async def prune(self, older_than_s: float) -> int:
        dropped = 0
        while gone := await self._commits.run(partial(_prune, older_than_s=older_than_s)):
            dropped += gone
        return dropped

    async def _read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Read in a thread, on a connection of its own: in WAL mode it delays no writer."""

        def read() -> list[Any]:
            with translated(self._path), closing(connect(self._path)) as db:
                return db.execute(query, values).fetchall()

        return await asyncio.to_thread(read)


def _observe(db: sqlite3.Connection, now: float, events: Iterable[CaseEvent]) -> None:
    for case_id, new in encoding.by_case(events).items():
        row = db.execute("SELECT body FROM seen WHERE case_id = ?", (case_id,)).fetchone()
        before = encoding.decode(case_id, row[0] if row else None)
        after, delta = before.with_(new)
        if after == before:
            continue
        db.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (case_id, encoding.encode(after)))
        _replace(db, before, after)
        for count, n in encoding.counts(delta, int(now * 1000)).items():
            db.execute(
                "INSERT INTO count VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", (*count, n)
            )


def _replace(db: sqlite3.Connection, before: CaseHistory, after: CaseHistory) -> None:
    rows = {_row(status) for status in after.statuses()}
    had = {_row(status) for status in before.statuses()}
    works = {row[:2] for row in rows}
    db.executemany(
        "DELETE FROM standing WHERE case_id = ? AND work_id = ?", [row[:2] for row in had if row[:2] not in works]
    )
    db.executemany("INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)", rows - had)


def _row(status: CaseStatus) -> tuple[str, str, str, int, str, str, str]:
    work = status.case_id, status.work_id, status.topic, status.since_ms
    return *work, status.end or "", status.difficulty or "", status.source


def _publish(db: sqlite3.Connection, now: float, figures: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO figures VALUES (1, ?)", (figures,))
    oldest = encoding.oldest_slice(int(now * 1000))
    db.execute("DELETE FROM count WHERE kind = 'slice' AND CAST(b AS INTEGER) < ?", (oldest,))


def _keep_minute(db: sqlite3.Connection, _now: float, minute: int, snapshot: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO minute VALUES (?, ?)", (minute, snapshot))
    db.execute("DELETE FROM minute WHERE at < ?", (encoding.oldest_minute(minute),))


def _prune(db: sqlite3.Connection, now: float, older_than_s: float) -> int:
    rows = db.execute(
        "SELECT case_id FROM standing GROUP BY case_id HAVING min(\"end\" <> '') AND max(since_ms) < ? LIMIT ?",
        (int((now - older_than_s) * 1000), _PRUNED_AT_ONCE),
    ).fetchall()
    db.executemany("DELETE FROM standing WHERE case_id = ?", rows)
    db.executemany("DELETE FROM seen WHERE case_id = ?", rows)
    return len(rows)
