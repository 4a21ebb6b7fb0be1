"""The ledger's keys on the server, and its scripts with a clock."""

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from services.ledger.valkey.server import ValkeyServer

KEYS: Final = [
    f"reasonmed{{ledger}}:{name}"
    for name in (
        *("calls", "leases", "history", "admissions", "duplicates", "attempts", "numbers"),
        *("refusals", "known", "bands"),
        *("spending", "budget", "reservations", "open_of", "settled"),  # the last five: budgets.lua
    )
]
"""In the order in which lua/prelude.lua and lua/budgets.lua unpack them. Those files describe the values."""
CALLS, LEASES, HISTORY, ADMISSIONS, DUPLICATES, ATTEMPTS, _NUMBERS, REFUSALS, KNOWN, BANDS = KEYS[:10]
SPENDING, BUDGET, RESERVATIONS = KEYS[10:13]
REMEMBERED: Final = "reasonmed{ledger}:remembered"
REPORTS: Final = "reasonmed{ledger}:reports"
CIRCUITS: Final = "reasonmed{ledger}:circuits"
PROBES: Final = "reasonmed{ledger}:probes"
"""With the service's name: a key that expires when the next probe may begin."""
STORE: Final = "reasonmed{ledger}:store"
"""The id of this store, given at its first opening: another one, or none, and the ledger was emptied or replaced."""


class Scripts:
    """A server, and the clock of its scripts; without a clock the server's own."""

    def __init__(self, server: ValkeyServer, clock: Callable[[], float] | None, store: str) -> None:
        """`store`: the id of the store as it was opened. Scripts change no other one."""
        self._server = server
        self._clock = clock
        self._store = store

    async def run(self, script: str, *args: str | bytes | int) -> Any:
        """Run one of the ledger's scripts. Raises LedgerAway."""
        now = microseconds(self._clock()) if self._clock else ""
        return await self._server.script(script, KEYS, [f"{now}|{self._store}", *args])

    async def command(self, *words: str | bytes | int) -> Any:
        """Run one command. Raises LedgerAway."""
        return await self._server.command(*words)

    async def now(self) -> float:
        """Unix time in seconds. Raises LedgerAway."""
        return self._clock() if self._clock else await self._server.time()


async def store_id(server: ValkeyServer) -> str:
    """The id of the store on this server; a new one for a store without data. Raises LedgerAway."""
    await server.command("SET", STORE, uuid4().hex, "NX")
    found: bytes | None = await server.command("GET", STORE)
    return "" if found is None else found.decode()


def microseconds(seconds: float) -> int:
    """Convert to the scripts' unit."""
    return round(seconds * 1e6)


def seconds(microseconds: str) -> float:
    """Convert to the ports' unit."""
    return int(microseconds) / 1e6
