"""Attempts in SQLite."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final

from services.core.messages import Position
from services.ledger.sqlite.commits import SqliteCommits

_Message = tuple[str, str, int, int]
"""Service, topic, partition, offset."""

_COUNT = 'SELECT count(*) FROM attempt WHERE service = ? AND topic = ? AND partition = ? AND "offset" = ?'
_OWNERS = 'SELECT owner FROM attempt WHERE service = ? AND topic = ? AND partition = ? AND "offset" = ?'
_DELETE_ALL = 'DELETE FROM attempt WHERE service = ? AND topic = ? AND partition = ? AND "offset" = ?'
_DELETE = f"{_DELETE_ALL} AND owner = ?"

PRUNED: Final = {
    "attempt": 'DELETE FROM attempt WHERE (service, topic, partition, "offset") IN '
    '(SELECT service, topic, partition, "offset" FROM attempt GROUP BY 1, 2, 3, 4 HAVING max(at) < ? LIMIT ?)',
}


class SqliteAttempts:
    """The port Attempts."""

    def __init__(self, commits: SqliteCommits) -> None:
        self._commits = commits

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        return await self._commits.run(partial(_open, message=_message(service, position), owner=owner))

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        await self._commits.run(partial(_close, message=_message(service, position), owner=owner))

    async def forget_attempts(self, service: str, position: Position) -> None:
        await self._commits.run(partial(_forget, message=_message(service, position)))

    async def owners(self, service: str, position: Position) -> Sequence[str]:
        return await self._commits.run(partial(_owners, message=_message(service, position)))


def _open(db: sqlite3.Connection, now: float, *, message: _Message, owner: str) -> int:
    db.execute("INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?)", (*message, owner, now))
    count: int = db.execute(_COUNT, message).fetchone()[0]
    return count - 1


def _close(db: sqlite3.Connection, _now: float, *, message: _Message, owner: str) -> None:
    db.execute(_DELETE, (*message, owner))


def _forget(db: sqlite3.Connection, _now: float, *, message: _Message) -> None:
    db.execute(_DELETE_ALL, message)


def _owners(db: sqlite3.Connection, _now: float, *, message: _Message) -> list[str]:
    return [owner for (owner,) in db.execute(_OWNERS, message)]


def _message(service: str, position: Position) -> _Message:
    return service, position.topic, position.partition, position.offset
