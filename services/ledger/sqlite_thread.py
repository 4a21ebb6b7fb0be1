"""One thread with one SQLite connection, and group commit: what queues up during one transaction goes into the next."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.core.errors import LedgerAway
from services.ledger.sqlite_file import connect, translated

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, float], T]
"""What is done inside a transaction, given its time. Run again alone where another work of its batch fails."""

_BATCH = 200
"""Works in one transaction at most: some ten milliseconds, for which the other processes wait."""


@dataclass(frozen=True)
class _Job:
    work: Work[Any]
    durable: bool
    future: asyncio.Future[Any]


@dataclass(frozen=True)
class _Result:
    value: Any = None
    error: Exception | None = None


class SqliteThread:
    """Runs works in transactions, in order, in a thread of its own. Made and closed inside one event loop."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._db: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="call-ledger", daemon=True)
        self._closed = False
        self._thread.start()

    async def run(self, work: Work[T], *, durable: bool = False) -> T:
        """Do the work in a transaction and return its value once that is committed. Cancelled, the work is still done.

        Durable: on the disk, so that a power cut doesn't undo it. Else it survives only the death of processes. Raises
        LedgerAway where the store fails: nothing has then been changed.
        """
        if self._closed:
            raise RuntimeError("the ledger is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, durable, future))
        return await future

    async def close(self) -> None:
        """Finish what has been asked for, then end the thread."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._take():
            results = self._commit(batch)
            self._loop.call_soon_threadsafe(_settle, batch, results)
        self._disconnect()

    def _take(self) -> list[_Job]:
        """Wait for a job, then take all that are there; none at the end."""
        batch: list[_Job] = []
        while len(batch) < _BATCH:
            try:
                job = self._jobs.get(block=not batch)
            except queue.Empty:
                break
            if job is None:
                if batch:
                    self._jobs.put(None)
                break
            batch.append(job)
        return batch

    def _commit(self, batch: list[_Job]) -> list[_Result]:
        try:
            with translated(self._path):
                return [_Result(value) for value in self._transaction(batch)]
        except LedgerAway as error:
            self._disconnect()  # the next batch opens it anew: whatever was wrong, it starts from a clean state
            return [_Result(error=_copy(error)) for _ in batch]
        except Exception as error:
            if len(batch) == 1:
                return [_Result(error=error)]
            return [result for job in batch for result in self._commit([job])]

    def _transaction(self, batch: list[_Job]) -> list[Any]:
        db = self._db = self._db or connect(self._path)
        # FULL waits for the disk at each commit; NORMAL, in WAL mode, only now and then, and stays consistent.
        db.execute(f"PRAGMA synchronous = {'FULL' if any(job.durable for job in batch) else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
        try:
            now = self._clock()  # only now: the wait for the lock may have been long
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


def _settle(batch: list[_Job], results: list[_Result]) -> None:
    for job, result in zip(batch, results, strict=True):
        if job.future.done():  # cancelled by who asked
            continue
        if result.error is not None:
            job.future.set_exception(result.error)
        else:
            job.future.set_result(result.value)


def _copy(error: LedgerAway) -> LedgerAway:
    """One for each that waits: an exception raised in many tasks would gather the tracebacks of all."""
    copy = LedgerAway(str(error))
    copy.__cause__ = error.__cause__
    return copy
