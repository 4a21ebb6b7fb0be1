"""Access to a Valkey or Redis server: connections, scripts, and the translation of errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from valkey import exceptions
from valkey.asyncio import ConnectionPool, Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff

from services.core.errors import LedgerAway
from services.ledger.errors import LedgerUnusable

TIMEOUT_S = 2.0
"""Time-out of a whole request: waiting for a connection, round trip, script (microseconds)."""

CONNECTIONS = 16
"""Most requests in flight. The server runs one script at a time; more would only queue there."""

_LUA = Path(__file__).parent / "lua"
_SCRIPTS: Final = ("claim", "renew", "release", "admit", "open_attempt", "close_attempt", "observe")
_WITH_BUDGETS: Final = ("complete", "reserve", "end", "settle", "prune")
"""Scripts that include budgets.lua."""

_AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.OutOfMemoryError, exceptions.ReadOnlyError)
_AWAY_CODES: Final = ("MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "UNKILLABLE", "EMPTIED")
"""Error codes of a server that is unavailable until somebody or something acts, for which the client has no exception
class. EMPTIED is our own scripts'."""


class ValkeyServer:
    """A server with the ledger's scripts. Create it with `open`; it survives restarts of the server."""

    def __init__(self, url: str, client: Valkey, pool: ConnectionPool) -> None:
        self._where = url.rpartition("@")[2].partition("?")[0]  # without a password
        self._pool = pool
        self._execute: Callable[..., Awaitable[Any]] = client.execute_command
        self._free = asyncio.Semaphore(CONNECTIONS)
        prelude = (_LUA / "prelude.lua").read_text()
        self._scripts = {
            name: client.register_script(prelude + (_LUA / f"{name}.lua").read_text()) for name in _SCRIPTS
        }
        budgets = prelude + (_LUA / "budgets.lua").read_text()
        self._scripts |= {
            name: client.register_script(budgets + (_LUA / f"{name}.lua").read_text()) for name in _WITH_BUDGETS
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> "AsyncIterator[ValkeyServer]":
        """Connect, and reject a server that can't keep what was paid for. Raises LedgerUnusable, LedgerAway."""
        try:
            # The client's own time-outs are disabled: its wait_for can swallow a cancellation that arrives with the
            # response (seen: a caller waited 5 s longer). `_reached` sets the time-out instead.
            pool = ConnectionPool.from_url(
                url, retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=None
            )
        except ValueError as error:
            raise LedgerUnusable(f"not an address of a Valkey or Redis server: {error}") from error
        client = Valkey(connection_pool=pool)
        try:
            server = cls(url, client, pool)
            await server.check()
            yield server
        finally:
            await client.aclose()
            await pool.aclose()

    async def script(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script atomically. Raises LedgerAway."""
        async with self._reached():
            return await self._scripts[name](keys=keys, args=args)

    async def command(self, *words: str | bytes | int) -> Any:
        """Run one command. Raises LedgerAway."""
        async with self._reached():
            return await self._execute(*words)

    async def time(self) -> float:
        """The server's clock: Unix time in seconds. Raises LedgerAway."""
        seconds, micros = await self.command("TIME")
        return int(seconds) + int(micros) / 1e6

    async def check(self) -> None:
        """Reject a server that forgets calls, which would be paid for again: one that evicts keys when its memory is
        full, or that has no append-only file; and one that is no single primary."""
        info: dict[str, Any] = {}
        for section in ("server", "persistence", "cluster"):
            info |= await self.command("INFO", section)
        if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):
            raise LedgerUnusable(
                f"{self._where} is a Sentinel: name the address at which its primary is always reached"
            )
        if info.get("cluster_enabled") == 1:
            raise LedgerUnusable(
                f"{self._where} is a node of a cluster: the ledger needs a server of its own, without one"
            )
        if info.get("aof_enabled") == 0:
            raise LedgerUnusable(
                f"{self._where} forgets at a restart, and finished calls would be paid for again: set appendonly yes"
            )
        try:
            answer = await self._asked("CONFIG", "GET", "maxmemory-policy")
        except exceptions.ResponseError:
            return  # CONFIG is not permitted, as on most hosted servers; their operator sets the policy
        if answer[1:] != [b"noeviction"]:
            raise LedgerUnusable(f"{self._where} evicts keys ({answer}): set maxmemory-policy noeviction")

    async def _asked(self, *words: str) -> Any:
        async with self._reached():
            return await self._execute(*words)

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        try:
            # A request that is cancelled, by the time-out or by its caller, closes its connection.
            async with asyncio.timeout(TIMEOUT_S), self._free:
                yield
        except TimeoutError as error:
            raise LedgerAway(f"call ledger {self._where}: no answer within {TIMEOUT_S:g} s") from error
        except (exceptions.ValkeyError, OSError) as error:
            if not _is_away(error):
                raise
            if isinstance(error, exceptions.ReadOnlyError):
                # A fail-over behind this address: connections to the former primary would never be the new one's.
                await self._pool.disconnect()
            raise LedgerAway(f"call ledger {self._where}: {error}; work resumes once it is back") from error


def _is_away(error: Exception) -> bool:
    return isinstance(error, (OSError, *_AWAY)) or str(error).startswith(_AWAY_CODES)
