"""Counts model calls: from the scripted server's log, or else from the ledger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from services.core.ledger.ports import Books
from services.ledger import open_ledger


class Calls(NamedTuple):
    """Model calls so far."""

    begun: int
    ended: int

    @property
    def under_way(self) -> int:
        """Calls in flight."""
        return self.begun - self.ended


class Counter(Protocol):
    """Counts model calls."""

    async def count(self) -> Calls:
        """The current counts."""
        ...


class LogCounter:
    """Counts the lines of the log incrementally: it may have a hundred thousand."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._calls = Calls(0, 0)

    async def count(self) -> Calls:
        """Reads new lines in a thread."""
        return await asyncio.to_thread(self._count)

    def _count(self) -> Calls:
        with self._log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        begun, ended = whole.count(b'"event":"start"'), whole.count(b'"event":"end"')
        self._calls = Calls(self._calls.begun + begun, self._calls.ended + ended)
        return self._calls


class LedgerCounter:
    """Counts the ledger's leases and replies. Reads all of them each time: use it for short runs."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def count(self) -> Calls:
        """The current counts."""
        done = {call.call_id for call in await self._books.calls()}
        claimed = {claim.call_id for claim in await self._books.claims() if claim.ended == "open"}
        return Calls(len(done | claimed), len(done))


@asynccontextmanager
async def counter(log: Path | None, ledger: str) -> AsyncIterator[Counter]:
    """Counts by the log if there is one, else by the ledger."""
    if log is not None:
        yield LogCounter(log)
        return
    async with open_ledger(ledger) as opened:
        yield LedgerCounter(opened.books)
