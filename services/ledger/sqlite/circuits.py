"""Circuit breakers in SQLite."""

import sqlite3
from functools import partial

from services.ledger.sqlite.commits import SqliteCommits


class SqliteCircuits:
    """The port Circuits."""

    def __init__(self, commits: SqliteCommits) -> None:
        self._commits = commits

    async def why(self, service: str) -> str | None:
        return await self._commits.run(partial(_why, service=service))

    async def set(self, service: str, why: str | None) -> None:
        await self._commits.run(partial(_set, service=service, why=why), durable=True)

    async def probe(self, service: str, turn_s: float) -> bool:
        return await self._commits.run(partial(_probe, service=service, turn_s=turn_s))

    async def probed(self, service: str, pause_s: float) -> None:
        await self._commits.run(partial(_probed, service=service, pause_s=pause_s))


def _why(db: sqlite3.Connection, _now: float, *, service: str) -> str | None:
    row = db.execute("SELECT why FROM circuit WHERE service = ?", (service,)).fetchone()
    return row[0] if row else None


def _set(db: sqlite3.Connection, _now: float, *, service: str, why: str | None) -> None:
    db.execute("DELETE FROM circuit WHERE service = ?", (service,))
    if why is not None:
        db.execute("INSERT INTO circuit VALUES (?, ?)", (service, why))


def _probe(db: sqlite3.Connection, now: float, *, service: str, turn_s: float) -> bool:
    row = db.execute("SELECT at FROM probe WHERE service = ?", (service,)).fetchone()
    if row is not None and now < row[0]:
        return False
    _probed(db, now, service=service, pause_s=turn_s)
    return True


def _probed(db: sqlite3.Connection, now: float, *, service: str, pause_s: float) -> None:
    db.execute("INSERT OR REPLACE INTO probe VALUES (?, ?)", (service, now + pause_s))
