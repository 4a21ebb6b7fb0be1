"""Open the ledger at an address, or the status store next to it.

A store is imported where it is opened: the client of one that isn't used costs a quarter of a second of each start.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.core.ledger.ports import Ledger
from services.core.status.store import StatusStore
from services.ledger.errors import LedgerUnusable


@asynccontextmanager
async def open_ledger(url: str) -> AsyncIterator[Ledger]:
    """Open the ledger at an address, until the end of the block.

    `sqlite:///absolute/path` (a local disk, never a network one), `valkey://host:6379/0` or `redis://…` (with TLS:
    `valkeys://`, `rediss://`; a socket: `unix:///path`), `memory://` (a new one each time, for tests).

    Raises LedgerUnusable for another address or an unusable store (a damaged file, another schema, a server that evicts
    keys); LedgerAway if the store is unreachable now.
    """
    scheme = urlsplit(url).scheme
    match scheme:
        case "memory":
            from services.ledger.memory.ledger import memory_ledger

            yield memory_ledger()
        case "sqlite":
            from services.ledger.sqlite.ledger import open_sqlite

            async with open_sqlite(_path(url)) as ledger:
                yield ledger
        case "valkey" | "valkeys" | "redis" | "rediss" | "unix":
            from services.ledger.valkey.ledger import open_valkey

            async with open_valkey(url) as ledger:
                yield ledger
        case _:
            raise _unknown(scheme)


@asynccontextmanager
async def open_status_store(url: str) -> AsyncIterator[StatusStore]:
    """Open the status store next to the ledger at this address: for SQLite a separate file (ledger.standings.sqlite
    next to ledger.sqlite), on a server separate keys. Raises the same errors as `open_ledger`."""
    scheme = urlsplit(url).scheme
    match scheme:
        case "memory":
            from services.ledger.memory.status import MemoryStatusStore

            yield MemoryStatusStore()
        case "sqlite":
            from services.ledger.sqlite.status import SqliteStatusStore

            path = _path(url)
            async with SqliteStatusStore.open(path.with_name(f"{path.stem}.standings{path.suffix}")) as sqlite:
                yield sqlite
        case "valkey" | "valkeys" | "redis" | "rediss" | "unix":
            from services.ledger.valkey.status import ValkeyStatusStore

            async with ValkeyStatusStore.open(url) as valkey:
                yield valkey
        case _:
            raise _unknown(scheme)


def ledger_folder(url: str) -> Path | None:
    """The folder of a ledger that is a file on this machine; None for one on a server. Raises LedgerUnusable."""
    return _path(url).parent if urlsplit(url).scheme == "sqlite" else None


def _unknown(scheme: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"unknown ledger scheme {scheme!r}: use sqlite:///absolute/path, valkey://host:port/0 or "
        "redis://host:port/0 (valkeys, rediss: with TLS), or memory://"
    )


def _path(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute() or path == Path("/"):
        raise LedgerUnusable("a SQLite ledger needs an absolute path after three slashes: sqlite:///var/x.db")
    return path
