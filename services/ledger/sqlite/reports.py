"""Reports on models in SQLite."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial

from services.core.ledger.reports import ModelReport, worst
from services.ledger.sqlite.commits import SqliteCommits


class SqliteReports:
    """The port ModelReports."""

    def __init__(self, commits: SqliteCommits) -> None:
        self._commits = commits

    async def report(self, owner: str, found: Sequence[ModelReport], *, for_s: float) -> None:
        await self._commits.run(partial(_report, owner=owner, found=found, for_s=for_s))

    async def reported(self) -> Mapping[str, ModelReport]:
        return worst(await self._commits.run(_reported))


def _report(db: sqlite3.Connection, now: float, *, owner: str, found: Sequence[ModelReport], for_s: float) -> None:
    db.execute("DELETE FROM model_report WHERE owner = ? OR until <= ?", (owner, now))
    rows = [(owner, each.alias, each.kind, each.why, now + for_s) for each in found]
    db.executemany("INSERT INTO model_report VALUES (?, ?, ?, ?, ?)", rows)


def _reported(db: sqlite3.Connection, now: float) -> list[tuple[str, ModelReport]]:
    rows = db.execute("SELECT owner, alias, kind, why FROM model_report WHERE until > ?", (now,))
    return [(owner, ModelReport(alias, kind, why)) for owner, alias, kind, why in rows]
