"""The call ledger in Valkey or Redis, for many machines.

Each method that changes something is one Lua script (services/ledger/valkey/lua): it is atomic, and one round trip for
any number of calls. The store's clock is the server's TIME. The server needs `maxmemory-policy noeviction` (where
CONFIG GET is permitted) and `appendonly yes`, both checked at opening: a call that is evicted, or lost at a restart,
would be paid for again. Each script also checks the store's id: a process that opened a store which was emptied or
replaced since then waits, as if the store were away, and says so.

With `appendfsync everysec` a machine that dies loses up to a second of finished calls, with `always` none; a failover
loses what the replica has not received. All finished calls are in the server's memory until they are pruned.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.core.ledger.ports import Ledger
from services.ledger.valkey.admissions import ValkeyAdmissions
from services.ledger.valkey.attempts import ValkeyAttempts
from services.ledger.valkey.books import ValkeyBooks
from services.ledger.valkey.budgets import ValkeyBudgets
from services.ledger.valkey.calls import ValkeyCalls
from services.ledger.valkey.circuits import ValkeyCircuits
from services.ledger.valkey.reports import ValkeyReports
from services.ledger.valkey.scripts import Scripts, store_id
from services.ledger.valkey.server import ValkeyServer


@asynccontextmanager
async def open_valkey(url: str, clock: Callable[[], float] | None = None) -> AsyncIterator[Ledger]:
    """The ledger on this server; a clock instead of the server's only in tests. Raises LedgerUnusable, LedgerAway."""
    async with ValkeyServer.open(url) as server:
        scripts = Scripts(server, clock, await store_id(server))
        yield Ledger(
            calls=ValkeyCalls(scripts),
            admissions=ValkeyAdmissions(scripts),
            attempts=ValkeyAttempts(scripts),
            circuits=ValkeyCircuits(scripts),
            budgets=ValkeyBudgets(scripts),
            books=ValkeyBooks(scripts),
            reports=ValkeyReports(scripts),
        )
