"""How many model calls were begun and have ended: from the scripted server's own log, else from the ledger."""

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
        """Begun and not ended."""
        return self.begun - self.ended


class Counter(Protocol):
    """Somebody who keeps count."""

    async def count(self) -> Calls:
        """As of now."""
        ...


class LogCounter:
    """Counts the log's lines, each once: it may have a hundred thousand."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._calls = Calls(0, 0)

    async def count(self) -> Calls:
        """Reads what was appended since, in a thread."""
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
    """Counts the ledger's leases and replies: each time all of them, so for short runs."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def count(self) -> Calls:
        """As the ledger has it."""
        done = {call.call_id for call in await self._books.calls()}
        claimed = {claim.call_id for claim in await self._books.claims() if claim.ended == "open"}
        return Calls(len(done | claimed), len(done))


@asynccontextmanager
async def counter(log: Path | None, ledger: str) -> AsyncIterator[Counter]:
    """The log's counter where there is a log, else the ledger's."""
    if log is not None:
        yield LogCounter(log)
        return
    async with open_ledger(ledger) as opened:
        yield LedgerCounter(opened.books)
