"""What the SQLite ledger does with money inside a transaction."""

import sqlite3
from collections.abc import Sequence

from services.contracts.case import Usage
from services.core.ledger.spending import BudgetState, Price, Spending, estimate

Work = tuple[str, int]
"""Work id and life."""

_PAY = """
INSERT INTO spending VALUES (?, ?, 1, ?, ?, ?, ?) ON CONFLICT (alias, stage) DO UPDATE SET
    calls = calls + 1, prompt = prompt + excluded.prompt, completion = completion + excluded.completion,
    cached = cached + excluded.cached, nano_usd = nano_usd + excluded.nano_usd
"""
_OPEN = "SELECT work_id, life, estimate, spent FROM reservation WHERE case_id = ? AND open ORDER BY at DESC LIMIT 1"
_SETTLED = """
INSERT INTO settled VALUES (?, 1, ?) ON CONFLICT (recipe_id) DO UPDATE SET
    cases = cases + 1, nano_usd = nano_usd + excluded.nano_usd
"""


def pay(db: sqlite3.Connection, paid: Sequence[tuple[Price, Usage]]) -> None:
    """Put calls down: to model and stage, and to their case's reservation."""
    for price, usage in paid:
        cost = price.nano_usd(usage)
        db.execute(_PAY, (price.alias, price.stage, usage.prompt, usage.completion, usage.cached, cost))
        if cost and (row := db.execute(_OPEN, (price.case_id,)).fetchone()):
            work_id, life, estimated, spent = row
            db.execute("UPDATE reservation SET spent = spent + ? WHERE work_id = ? AND life = ?", (cost, work_id, life))
            _reserve(db, -min(cost, max(0, estimated - spent)), 0)


def spendings(db: sqlite3.Connection, _now: float) -> list[Spending]:
    """By alias and stage."""
    rows = db.execute(
        "SELECT alias, stage, calls, prompt, completion, cached, nano_usd FROM spending ORDER BY alias, stage"
    )
    return [
        Spending(alias, stage, calls, Usage(prompt=prompt, completion=completion, cached=cached), nano_usd)
        for alias, stage, calls, prompt, completion, cached, nano_usd in rows.fetchall()
    ]


def state(db: sqlite3.Connection, _now: float) -> BudgetState:
    """The budget as it stands."""
    limit, waiting, reserved, open_ = db.execute("SELECT most, waiting, reserved, open FROM budget").fetchone()
    (spent,) = db.execute("SELECT ifnull(sum(nano_usd), 0) FROM spending").fetchone()
    return BudgetState(limit, spent, reserved, open_, bool(waiting))


def set_limit(db: sqlite3.Connection, _now: float, *, limit: int | None) -> None:
    """Set the sum, or none; nobody has been told to wait for it yet."""
    db.execute("UPDATE budget SET most = ?, waiting = 0", (limit,))


def reserve(db: sqlite3.Connection, now: float, *, case_id: str, work: Work, recipe_id: str, prior: int) -> bool:
    """As the port says."""
    if _row(db, work):
        return True
    found = db.execute("SELECT cases, nano_usd FROM settled WHERE recipe_id = ?", (recipe_id,)).fetchone()
    settled, cost = found or (0, 0)
    wanted = estimate(settled, cost, prior)
    stands = state(db, now)
    asked = stands.spent_nano_usd + stands.reserved_nano_usd + wanted
    waits = stands.limit_nano_usd is not None and asked > stands.limit_nano_usd
    if waits != stands.waiting:
        db.execute("UPDATE budget SET waiting = ?", (waits,))
    if not waits:
        row = (*work, case_id, recipe_id, now, wanted, 0, 1)
        db.execute("INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        _reserve(db, wanted, 1)
    return not waits


def settle(db: sqlite3.Connection, now: float, *, work: Work) -> None:
    """As the port says."""
    row = _row(db, work)
    if row is None:
        db.execute("INSERT INTO reservation VALUES (?, ?, '', '', ?, 0, 0, 0)", (*work, now))
        return
    recipe_id, estimated, spent, open_ = row
    if open_:
        db.execute("UPDATE reservation SET open = 0 WHERE work_id = ? AND life = ?", work)
        db.execute(_SETTLED, (recipe_id, spent))
        _reserve(db, -max(0, estimated - spent), -1)


def _row(db: sqlite3.Connection, work: Work) -> tuple[str, int, int, int] | None:
    query = "SELECT recipe_id, estimate, spent, open FROM reservation WHERE work_id = ? AND life = ?"
    row: tuple[str, int, int, int] | None = db.execute(query, work).fetchone()
    return row


def _reserve(db: sqlite3.Connection, nano_usd: int, cases: int) -> None:
    db.execute("UPDATE budget SET reserved = reserved + ?, open = open + ?", (nano_usd, cases))
