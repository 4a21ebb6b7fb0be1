"""The SQLite ledger's history, and its pruning."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from services.contracts.base import CallId
from services.core.ledger.ports import CallRow, ClaimRow
from services.ledger.encoding.outcomes import decode, decode_origin
from services.ledger.sqlite import admissions, attempts, budgets, calls
from services.ledger.sqlite.commits import SqliteCommits
from services.ledger.sqlite.file import connect, translated

_PRUNED: Final = {**calls.PRUNED, **budgets.PRUNED, **attempts.PRUNED}
_PRUNED_AT_ONCE = 500
"""Rows of one deleting transaction: a few milliseconds."""


class SqliteBooks:
    """The port Books."""

    def __init__(self, path: Path, commits: SqliteCommits) -> None:
        self._path = path
        self._commits = commits

    async def claims(self) -> list[ClaimRow]:
        rows = await self._read("SELECT call_id, owner, since, until, ended FROM claim ORDER BY since, id")
        return [ClaimRow(*row) for row in rows]

    async def calls(self) -> list[CallRow]:
        return [_row(row) for row in await self._read("SELECT call_id, owner, at, outcome FROM call ORDER BY at, id")]

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        marks = ", ".join("?" * len(call_ids))
        query = f"SELECT call_id, owner, at, outcome FROM call WHERE call_id IN ({marks})"  # noqa: S608 -- only marks
        rows = [_row(row) for row in await self._read(query, call_ids)]
        return {row.call_id: row for row in rows}

    async def under_way(self) -> Mapping[str, int]:
        return await self._commits.run(_under_way)

    async def admitted(self) -> dict[str, int]:
        [(first, duplicate)] = await self._read("SELECT total(first), total(NOT first) FROM admission")
        return {"first": int(first), "duplicate": int(duplicate)}

    async def prune(self, older_than_s: float, *, admissions_s: float | None = None) -> int:
        if admissions_s is not None:
            await self._prune(admissions.PRUNED, admissions_s)
        return await self._prune(_PRUNED, older_than_s)

    async def _prune(self, statements: Mapping[str, str], older_than_s: float) -> int:
        """Returns the number of calls."""
        dropped = 0
        for table, delete in statements.items():
            while gone := await self._commits.run(partial(_prune, delete=delete, older_than_s=older_than_s)):
                dropped += gone if table == "call" else 0
        return dropped

    async def _read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Read in a thread, on a connection of its own: in WAL mode a long read delays no claim."""

        def read() -> list[Any]:
            with translated(self._path), closing(connect(self._path)) as db:
                return db.execute(query, values).fetchall()

        return await asyncio.to_thread(read)


def _row(row: tuple[CallId, str, float, bytes]) -> CallRow:
    call_id, owner, at, outcome = row
    return CallRow(call_id, owner, at, decode(outcome), decode_origin(outcome))


def _under_way(db: sqlite3.Connection, now: float) -> dict[str, int]:
    query = "SELECT owner, count(*) FROM claim WHERE ended = 'open' AND until > ? GROUP BY owner"
    return dict(db.execute(query, (now,)).fetchall())


def _prune(db: sqlite3.Connection, now: float, *, delete: str, older_than_s: float) -> int:
    return db.execute(delete, (now - older_than_s, _PRUNED_AT_ONCE)).rowcount
