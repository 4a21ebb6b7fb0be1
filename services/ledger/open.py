"""From an address to a ledger."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from services.core.ledger.ports import Admissions, Attempts, Books, Calls
from services.core.ledger.spending import Budgets, Spendings
from services.core.status.case_status import StatusStore
from services.ledger.errors import LedgerUnusable


class Ledger(Calls, Admissions, Attempts, Books, Spendings, Budgets, Protocol):
    """All that is kept beside Kafka, behind one address.

    What the three adapters promise beyond the ports, held by tests/laws/test_ledger_laws.py:

    - A lease is one row of `claims()`. A renewal, or a second claim while it lives, extends the row and never shortens
      it. One that ran out keeps its `until` and stays 'open': nobody ended it. A claim after that is a new row, even
      for the same owner, since the call was nobody's in between.
    - Only a call's latest lease is ever touched. `release` ends it if it is live and the caller's own.
    - `complete` needs no lease: a call that was paid for counts. It ends the call's latest lease where that is the
      caller's own ('completed'; if it had run out, `until` stays what it was, and the CallRow says when the outcome
      came) or live in another's hands ('released' now: that owner has nothing left to do, its renewal says False, and
      its own `complete` gets the outcome that stands). So no lease of a finished call is live, and an earlier owner's
      row stays 'open' at the moment its lease ran out.
    - An admission is known by (case id, named recipe or none, life). `admitted()` counts each message once: a
      duplicate that Kafka delivers again is still one duplicate, and a redrive counts as an admission of its own.
    - A refusal belongs to the admission it was given with, and says the same to that message ever after. A question is
      known to later ones once it was let in as a newcomer, in whatever life or recipe; one that was admitted without
      (by a worker that doesn't check) is not. What is pruned with its admission keeps nobody out any more.
    - A price counts once, with the outcome that is written first, and goes to the case's open reservation, the latest
      where it has several. A call completed without a price, as by an older worker, counts nowhere.
    - `prune` goes by the end of a call or lease, the moment of an admission, and, for the attempts of a message, the
      latest of them. It works in small steps: others go on in between.
    """


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
            from services.ledger.memory.ledger import MemoryLedger

            yield MemoryLedger()
        case "sqlite":
            from services.ledger.sqlite.ledger import SqliteLedger

            async with SqliteLedger.open(_path(url)) as sqlite:
                yield sqlite
        case "valkey" | "valkeys" | "redis" | "rediss" | "unix":
            from services.ledger.valkey.ledger import ValkeyLedger

            async with ValkeyLedger.open(url) as valkey:
                yield valkey
        case _:
            raise LedgerUnusable(
                f"no ledger of the kind {scheme!r}: give sqlite:///absolute/path, valkey://host:port/0 or "
                "redis://host:port/0 (valkeys, rediss: with TLS), or memory://"
            )


@asynccontextmanager
async def open_status_store(url: str) -> AsyncIterator[StatusStore]:
    """The standings beside the ledger at this address: in SQLite a file of their own (ledger.sqlite has
    ledger.standings.sqlite), on a server keys of their own. Raises as `open_ledger`."""
    match urlsplit(url).scheme:
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
        case scheme:
            raise LedgerUnusable(f"no ledger of the kind {scheme!r}")


def _path(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute() or path == Path("/"):
        raise LedgerUnusable("a SQLite ledger needs an absolute path after three slashes: sqlite:///var/x.db")
    return path
