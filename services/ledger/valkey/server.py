"""The way to a Valkey or Redis server: its connections, its scripts, and what its errors mean."""

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
"""For a whole request: a free connection, the way there, the script (microseconds), the way back."""

CONNECTIONS = 16
"""Requests under way at once. The server runs one script at a time; more would only wait there."""

_LUA = Path(__file__).parent / "lua"
_SCRIPTS: Final = ("claim", "renew", "release", "admit", "open_attempt", "close_attempt", "observe")
_WITH_BUDGETS: Final = ("complete", "reserve", "settle", "prune")
"""Those that include budgets.lua."""

_AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.OutOfMemoryError, exceptions.ReadOnlyError)
_AWAY_CODES: Final = ("MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "UNKILLABLE")
"""Error codes of a server that can't serve now, for which the client has no class of its own."""


class ValkeyServer:
    """A server, and the ledger's scripts on it. Made by `open`; lives on over the server's restarts."""

    def __init__(self, url: str, client: Valkey) -> None:
        self._where = url.rpartition("@")[2].partition("?")[0]  # without a password
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
        """Connect, and refuse a server that would evict keys. Raises LedgerUnusable, LedgerAway."""
        try:
            # No time-outs of the client's own: its wait_for can swallow a cancellation that comes with the answer
            # (seen: a caller held for 5 s more). `_reached` sets the bound for all.
            pool = ConnectionPool.from_url(
                url, retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=None
            )
        except ValueError as error:
            raise LedgerUnusable(f"no address of a Valkey or Redis server: {error}") from error
        client = Valkey(connection_pool=pool)
        try:
            server = cls(url, client)
            await server.check_policy()
            yield server
        finally:
            await client.aclose()
            await pool.aclose()

    async def script(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script: all of it or nothing. Raises LedgerAway."""
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

    async def check_policy(self) -> None:
        """Refuse a server that drops keys when its memory is full: each dropped call would be paid for again."""
        async with self._reached():
            try:
                answer = await self._execute("CONFIG", "GET", "maxmemory-policy")
            except exceptions.ResponseError:
                return  # CONFIG isn't permitted here, as with most hosted servers: theirs to see to
        if answer[1:] != [b"noeviction"]:
            raise LedgerUnusable(f"{self._where} evicts keys ({answer}): set maxmemory-policy noeviction")

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        try:
            # A request that is broken off, by the bound or by its caller, closes its connection.
            async with asyncio.timeout(TIMEOUT_S), self._free:
                yield
        except TimeoutError as error:
            raise LedgerAway(f"call ledger {self._where}: no answer within {TIMEOUT_S:g} s") from error
        except (exceptions.ValkeyError, OSError) as error:
            if not _is_away(error):
                raise
            raise LedgerAway(f"call ledger {self._where}: {error}; work goes on once it is back") from error


def _is_away(error: Exception) -> bool:
    return isinstance(error, (OSError, *_AWAY)) or str(error).startswith(_AWAY_CODES)
