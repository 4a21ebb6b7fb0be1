"""Spending, reservations and the budget in SQLite."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

from services.contracts.base import CaseId, RecipeId, WorkId
from services.contracts.case import Usage
from services.core.ledger.spending import BudgetState, Price, Spending, estimate
from services.ledger.sqlite.commits import SqliteCommits

_Table = Literal["spending", "remembered"]

_Work = tuple[WorkId, int]
"""Work id and life."""

_CHARGE = """
INSERT INTO {table} VALUES (?, ?, 1, ?, ?, ?, ?) ON CONFLICT (alias, stage) DO UPDATE SET
    calls = calls + 1, prompt = prompt + excluded.prompt, completion = completion + excluded.completion,
    cached = cached + excluded.cached, nano_usd = nano_usd + excluded.nano_usd
"""
_OPEN = "SELECT work_id, life, estimate, spent FROM reservation WHERE case_id = ? AND open ORDER BY at DESC LIMIT 1"
_SETTLED = """
INSERT INTO settled VALUES (?, 1, ?) ON CONFLICT (recipe_id) DO UPDATE SET
    cases = cases + 1, nano_usd = nano_usd + excluded.nano_usd
"""

PRUNED: Final = {
    "reservation": "DELETE FROM reservation WHERE (work_id, life) IN "
    "(SELECT work_id, life FROM reservation WHERE at < ? AND NOT open LIMIT ?)",
}


class SqliteBudgets:
    """The port Budgets."""

    def __init__(self, commits: SqliteCommits) -> None:
        self._commits = commits

    async def spendings(self) -> Sequence[Spending]:
        return await self._commits.run(partial(_sums, table="spending"))

    async def remembered(self) -> Sequence[Spending]:
        return await self._commits.run(partial(_sums, table="remembered"))

    async def state(self) -> BudgetState:
        return await self._commits.run(_state)

    async def set_limit(self, nano_usd: int | None) -> None:
        await self._commits.run(partial(_set_limit, limit=nano_usd), durable=True)

    async def reserve(
        self, case_id: CaseId, work_id: WorkId, life: int, *, recipe_id: RecipeId, prior_nano_usd: int
    ) -> bool:
        work = (work_id, life)
        statement = partial(_reserve, case_id=case_id, work=work, recipe_id=recipe_id, prior=prior_nano_usd)
        return await self._commits.run(statement, durable=True)

    async def end(self, case_id: CaseId, reason: str) -> bool:
        return await self._commits.run(partial(_end, case_id=case_id, reason=reason), durable=True)

    async def ended(self, case_id: CaseId) -> str | None:
        return await self._commits.run(partial(_ended, case_id=case_id))

    async def settle(self, work_id: WorkId, life: int) -> None:
        await self._commits.run(partial(_settle, work=(work_id, life)))


def charge(db: sqlite3.Connection, charges: Sequence[tuple[Price, Usage]]) -> None:
    """Inside a transaction: add finished calls to model and stage, and take them from their case's reservation."""
    for price, usage in charges:
        cost = _count(db, "spending", price, usage)
        if cost and (row := db.execute(_OPEN, (price.case_id,)).fetchone()):
            work_id, life, estimated, spent = row
            db.execute("UPDATE reservation SET spent = spent + ? WHERE work_id = ? AND life = ?", (cost, work_id, life))
            _add(db, -min(cost, max(0, estimated - spent)), 0)


def remember(db: sqlite3.Connection, _now: float, *, found: Sequence[tuple[Price, Usage]]) -> None:
    """Count finished calls that were asked for again."""
    for price, usage in found:
        _count(db, "remembered", price, usage)


def _count(db: sqlite3.Connection, table: _Table, price: Price, usage: Usage) -> int:
    """Add a call under its alias and stage; returns its cost."""
    cost = price.nano_usd(usage)
    values = (price.alias, price.stage, usage.prompt, usage.completion, usage.cached, cost)
    db.execute(_CHARGE.format(table=table), values)
    return cost


def _sums(db: sqlite3.Connection, _now: float, *, table: _Table) -> list[Spending]:
    rows = db.execute(
        f"SELECT alias, stage, calls, prompt, completion, cached, nano_usd FROM {table} ORDER BY alias, stage"  # noqa: S608
    )
    return [
        Spending(alias, stage, calls, Usage(prompt=prompt, completion=completion, cached=cached), nano_usd)
        for alias, stage, calls, prompt, completion, cached, nano_usd in rows.fetchall()
    ]


def _state(db: sqlite3.Connection, _now: float) -> BudgetState:
    limit, waiting, reserved, open_ = db.execute("SELECT most, waiting, reserved, open FROM budget").fetchone()
    (spent,) = db.execute("SELECT ifnull(sum(nano_usd), 0) FROM spending").fetchone()
    return BudgetState(limit, spent, reserved, open_, bool(waiting))


def _set_limit(db: sqlite3.Connection, _now: float, *, limit: int | None) -> None:
    db.execute("UPDATE budget SET most = ?, waiting = 0", (limit,))


def _reserve(
    db: sqlite3.Connection, now: float, *, case_id: CaseId, work: _Work, recipe_id: RecipeId, prior: int
) -> bool:
    if _ended(db, now, case_id=case_id) is not None:
        return False
    if _row(db, work):
        return True
    found = db.execute("SELECT cases, nano_usd FROM settled WHERE recipe_id = ?", (recipe_id,)).fetchone()
    settled, cost = found or (0, 0)
    wanted = estimate(settled, cost, prior)
    state = _state(db, now)
    total = state.spent_nano_usd + state.reserved_nano_usd + wanted
    waits = state.limit_nano_usd is not None and total > state.limit_nano_usd
    if waits != state.waiting:
        db.execute("UPDATE budget SET waiting = ?", (waits,))
    if not waits:
        row = (*work, case_id, recipe_id, now, wanted, 0, 1)
        db.execute("INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        _add(db, wanted, 1)
    return not waits


def _end(db: sqlite3.Connection, _now: float, *, case_id: CaseId, reason: str) -> bool:
    if db.execute(_OPEN, (case_id,)).fetchone():
        return False
    db.execute("INSERT OR REPLACE INTO question_ended VALUES (?, ?)", (case_id, reason))
    return True


def _ended(db: sqlite3.Connection, _now: float, *, case_id: CaseId) -> str | None:
    row = db.execute("SELECT reason FROM question_ended WHERE case_id = ?", (case_id,)).fetchone()
    return None if row is None else str(row[0])


def _settle(db: sqlite3.Connection, now: float, *, work: _Work) -> None:
    row = _row(db, work)
    if row is None:
        db.execute("INSERT INTO reservation VALUES (?, ?, '', '', ?, 0, 0, 0)", (*work, now))
        return
    recipe_id, estimated, spent, open_ = row
    if open_:
        db.execute("UPDATE reservation SET open = 0 WHERE work_id = ? AND life = ?", work)
        db.execute(_SETTLED, (recipe_id, spent))
        _add(db, -max(0, estimated - spent), -1)


def _row(db: sqlite3.Connection, work: _Work) -> tuple[str, int, int, int] | None:
    query = "SELECT recipe_id, estimate, spent, open FROM reservation WHERE work_id = ? AND life = ?"
    row: tuple[str, int, int, int] | None = db.execute(query, work).fetchone()
    return row


def _add(db: sqlite3.Connection, nano_usd: int, cases: int) -> None:
    """Change the sum and the number of open reservations."""
    db.execute("UPDATE budget SET reserved = reserved + ?, open = open + ?", (nano_usd, cases))
