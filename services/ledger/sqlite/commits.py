"""Group commit on SQLite: work that is queued during one transaction runs in the next.

Transactions run on the event loop's thread; only the fsync runs in another thread. sqlite3 releases the GIL at every
step of a statement, and a thread beside a busy loop gets it back late (measured: 0.4 to 1 s for the 30 steps of a claim
of nine calls beside a saturated loop, 0.3 ms on it). Meanwhile it would hold the file's write lock, and all other
processes would wait.
"""

import asyncio
import os
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.core.errors import LedgerAway
from services.ledger.sqlite import file
from services.ledger.sqlite.file import connect_without_waiting, is_busy, translated

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, float], T]
"""Runs inside a transaction, with the transaction's time. Runs again alone if another work of its batch fails."""

_BATCH = 32
"""Most works in one transaction: up to 10 ms, during which the loop and other processes wait."""

_POLL_S = (0.0005, 0.004)
"""Seconds between two tries for the write lock, which others hold for a millisecond; random, for fairness."""

_LONG_LOG = 16 * 2**20
"""Bytes of write-ahead log before a checkpoint: index pages are then written once for many calls."""


@dataclass(frozen=True)
class _Job:
    work: Work[Any]
    durable: bool
    future: asyncio.Future[Any]


@dataclass(frozen=True)
class _Result:
    value: Any = None
    error: Exception | None = None


class SqliteCommits:
    """Runs works in transactions, in order. Create it with `open`."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._jobs: list[_Job] = []
        self._draining: asyncio.Task[None] | None = None
        self._db: sqlite3.Connection | None = None
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Callable[[], float]) -> "AsyncIterator[SqliteCommits]":
        """Open over a prepared file. The end of the block waits until all queued work has run."""
        commits = cls(path, clock)
        try:
            yield commits
        finally:
            commits._closed = True
            if commits._draining is not None:
                await commits._draining
            commits._disconnect()

    async def run(self, work: Work[T], *, durable: bool = False) -> T:
        """Run the work in a transaction and return its value after the commit. Cancellation does not undo the work.

        `durable`: the commit is on the disk and survives a power failure; otherwise it survives only the death of
        processes. Raises LedgerAway if the store fails; the effect is then unknown.
        """
        if self._closed:
            raise RuntimeError("the ledger is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(work, durable, future))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._jobs:
            batch, self._jobs = self._jobs[:_BATCH], self._jobs[_BATCH:]
            for job, result in zip(batch, await self._commit(batch), strict=True):
                _settle(job.future, result)

    async def _commit(self, batch: list[_Job]) -> list[_Result]:
        try:
            with translated(self._path):
                values = await self._transaction(batch)
                if any(job.durable for job in batch):
                    await asyncio.to_thread(_sync, self._path)
                return [_Result(value) for value in values]
        except LedgerAway as error:
            self._disconnect()  # the next batch reconnects, so it starts from a clean state
            return [_Result(error=_copy(error)) for _ in batch]
        except Exception as error:
            if len(batch) == 1:
                return [_Result(error=error)]
            return [result for job in batch for result in await self._commit([job])]

    async def _transaction(self, batch: list[_Job]) -> list[Any]:
        db = self._db = self._db or connect_without_waiting(self._path)
        await _begin(db)
        try:
            now = self._clock()  # read after the lock is held: the wait may have been long
            values = [job.work(db, now) for job in batch]
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        return values

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()


async def _begin(db: sqlite3.Connection) -> None:
    """Take the file's write lock without blocking the loop while another process has it."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + file.BUSY_S
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or loop.time() > give_up:
                raise
        else:
            return
        await asyncio.sleep(random.uniform(*_POLL_S))


def _sync(path: Path) -> None:
    """Fsync all commits, and keep the write-ahead log short. Holds no lock meanwhile."""
    log = os.open(f"{path}-wal", os.O_RDWR)
    try:
        os.fsync(log)
        long = os.fstat(log).st_size > _LONG_LOG
    finally:
        os.close(log)
    if long:
        with closing(connect_without_waiting(path)) as db:
            # The passive checkpoint copies most of the log without blocking writers; the second one takes the write
            # lock for the rest. If a reader still uses the log, it stays, and the next commit tries again.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _settle(future: asyncio.Future[Any], result: _Result) -> None:
    if future.done():  # cancelled by the caller
        return
    if result.error is not None:
        future.set_exception(result.error)
    else:
        future.set_result(result.value)


def _copy(error: LedgerAway) -> LedgerAway:
    """A copy per waiting caller: an exception raised in many tasks would collect the tracebacks of all."""
    copy = LedgerAway(str(error))
    copy.__cause__ = error.__cause__
    return copy
