"""A record's attempt in the ledger: opened before its handler starts, closed when it ends (rule 12)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from services.contracts.codec import canonical, loads
from services.core.errors import Dead, Draining
from services.core.ledger.ports import Attempts
from services.core.messages import ConsumedRecord
from services.runtime.engine.gate import Gate
from services.runtime.engine.limits import Limits
from services.runtime.engine.publisher import Outcome
from services.runtime.engine.retry import RetryPolicy

log = structlog.get_logger(__name__)

T = TypeVar("T")

CONDEMNED = "condemned "
"""Begins the owner of the attempt that marks a record as dead: no worker's name has a blank."""


class AttemptLog:
    """One worker's attempts at the records of one service."""

    def __init__(
        self, service: str, owner: str, *, attempts: Attempts, gate: Gate, retry: RetryPolicy, limits: Limits
    ) -> None:
        self._service = service
        self._owner = owner
        self._attempts = attempts
        self._gate = gate
        self._retry = retry
        self._limits = limits

    @asynccontextmanager
    async def open(self, record: ConsumedRecord) -> AsyncIterator[int]:
        """Yields how many attempts at the record other processes left open: they crashed, perhaps because of it. With
        `Limits.crashes` or more, the record runs alone in this process.

        An attempt that is cancelled, or left because the process drains, is closed within bounded time.
        """
        async with self._gate.together():
            crashes = await self._open(record)
            if crashes < self._limits.crashes:
                async with self._closed_on_interruption(record):
                    yield crashes
                return
            await self._close(record)  # A crash while it waits to run alone must not count against it.
        log.warning(
            "a record that may have crashed its processes runs alone", what=str(record.position), crashes=crashes
        )
        async with self._gate.alone():
            crashes = await self._open(record)
            async with self._closed_on_interruption(record):
                yield crashes

    async def condemn(self, record: ConsumedRecord, dead: Dead, attempts: int) -> None:
        """Remember that the record is dead, before its dead letter is published. If the commit is lost, the record is
        read again, and the cause may have been repaired: it must not have outputs as well."""
        mark = CONDEMNED + canonical([dead.kind, dead.error, attempts]).decode()
        await self._ledger(record, lambda: self._attempts.open_attempt(self._service, record.position, owner=mark))

    async def condemned(self, record: ConsumedRecord, crashes: int) -> tuple[Dead, int] | None:
        """Why the record is dead already, and after how many attempts. `crashes` as `open` yields them: without any,
        the ledger isn't asked."""
        if not crashes:
            return None
        owners = await self._ledger(record, lambda: self._attempts.owners(self._service, record.position))
        for mark in sorted(owner for owner in owners if owner.startswith(CONDEMNED)):
            kind, error, attempts = loads(mark.removeprefix(CONDEMNED))
            return Dead(kind, error, trips_circuit=False), attempts  # It has been counted before.
        return None

    async def close(self, record: ConsumedRecord, outcome: Outcome) -> None:
        """Close the attempt of a record that has ended, and forget the crashes."""
        if outcome.dead is not None:
            # Not committed yet: if it is read again, it must be found condemned.
            await self._close(record)
        else:
            await self._ledger(record, lambda: self._attempts.forget_attempts(self._service, record.position))

    @asynccontextmanager
    async def _closed_on_interruption(self, record: ConsumedRecord) -> AsyncIterator[None]:
        try:
            yield
        except (asyncio.CancelledError, Draining):
            await self._abandon(record)
            raise

    async def _open(self, record: ConsumedRecord) -> int:
        async with self._closed_on_interruption(record):  # It may be open when the cancellation arrives.
            return await self._ledger(
                record, lambda: self._attempts.open_attempt(self._service, record.position, owner=self._owner)
            )

    async def _close(self, record: ConsumedRecord) -> None:
        await self._ledger(
            record, lambda: self._attempts.close_attempt(self._service, record.position, owner=self._owner)
        )

    async def _abandon(self, record: ConsumedRecord) -> None:
        """Close the attempt; if the ledger is away it stays open, and counts once against the record."""
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self._close(record)
        except TimeoutError:
            log.warning("attempt left open: the ledger is away", what=str(record.position))

    async def _ledger(self, record: ConsumedRecord, action: Callable[[], Awaitable[T]]) -> T:
        return await self._retry.retry_while_away(str(record.position), action)
