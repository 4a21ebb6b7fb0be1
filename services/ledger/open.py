"""From an address to a ledger, or to the status store beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.core.ledger.ports import Ledger
from services.core.status.store import StatusStore
from services.ledger.errors import LedgerUnusable


@asynccontextmanager
async def open_ledger(url: str) -> AsyncIterator[Ledger]:
    """The ledger at an address, until the block ends.

    `sqlite:///absolute/path` (a local disk, never a network one), `valkey://host:6379/0` or `redis://…` (with TLS:
    `valkeys://`, `rediss://`; a socket: `unix:///path`), `memory://` (a new one each time, for tests).

    Raises LedgerUnusable for another address, or a store that can't serve (a damaged file, a newer schema, a server
    that evicts keys); LedgerAway where the store can't be reached now.
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
    """The status store beside the ledger at this address: in SQLite a file of its own (ledger.sqlite has
    ledger.standings.sqlite), on a server keys of its own. Raises as `open_ledger`."""
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


def _unknown(scheme: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"no ledger of the kind {scheme!r}: give sqlite:///absolute/path, valkey://host:port/0 or "
        "redis://host:port/0 (valkeys, rediss: with TLS), or memory://"
    )


def _path(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute() or path == Path("/"):
        raise LedgerUnusable("a SQLite ledger needs an absolute path after three slashes: sqlite:///var/x.db")
    return path
