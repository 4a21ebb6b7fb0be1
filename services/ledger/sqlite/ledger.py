"""The call ledger in a SQLite file, for all processes of one machine.

The file is on a local disk, in WAL mode. Finished calls, admissions, circuits, the budget's limit and reservations are
on the disk before their method returns (as with synchronous=FULL): they are money, and a power cut must not undo what
Kafka may have published from them. Leases and attempts are only handed to the operating system (synchronous=NORMAL): a
process that dies loses nothing, and a power cut ends every process that could hold them. All methods that end in the
meantime share one wait for the disk, which does not hold the write lock. The store's clock is the machine's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from services.core.ledger.ports import Ledger
from services.ledger.sqlite.admissions import SqliteAdmissions
from services.ledger.sqlite.attempts import SqliteAttempts
from services.ledger.sqlite.books import SqliteBooks
from services.ledger.sqlite.budgets import SqliteBudgets
from services.ledger.sqlite.calls import SqliteCalls
from services.ledger.sqlite.circuits import SqliteCircuits
from services.ledger.sqlite.commits import SqliteCommits
from services.ledger.sqlite.file import prepare
from services.ledger.sqlite.reports import SqliteReports


@asynccontextmanager
async def open_sqlite(path: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Ledger]:
    """The ledger in this file, created where it is missing. Raises LedgerUnusable, LedgerAway."""
    await asyncio.to_thread(prepare, path)
    async with SqliteCommits.open(path, clock) as commits:
        yield Ledger(
            calls=SqliteCalls(commits),
            admissions=SqliteAdmissions(commits),
            attempts=SqliteAttempts(commits),
            circuits=SqliteCircuits(commits),
            budgets=SqliteBudgets(commits),
            books=SqliteBooks(path, commits),
            reports=SqliteReports(commits),
        )
