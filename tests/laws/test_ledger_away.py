"""Outages of the store: LedgerAway with a remedy, and the same ledger works again afterwards."""

import asyncio
import os
import signal

import pytest

from services.contracts.base import CallId
from services.core.errors import LedgerAway
from services.core.ledger.calls import Failure
from services.core.ledger.ports import Done, Mine
from services.ledger import LedgerUnusable, open_ledger
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.server import MemoryServer
from services.ledger.valkey import server as valkey_server

CALL_1 = CallId("call-1")
CALL_2 = CallId("call-2")

A, B = "worker-a", "worker-b"


async def test_a_valkey_server_that_restarts(own_valkey) -> None:
    """Every request fails while it is down; afterwards the same ledger works, with its data but without loaded
    scripts."""
    server = own_valkey("--appendfsync", "always")
    async with open_ledger(server.url) as ledger:
        assert await ledger.calls.claim([CALL_1, CALL_2], owner=A, lease_s=60) == [Mine(60), Mine(60)]
        await ledger.calls.complete({CALL_1: Failure("kept")}, owner=A)
        server.stop()
        for _ in range(2):
            with pytest.raises(LedgerAway, match=server.url):
                await ledger.calls.claim([CALL_1], owner=B, lease_s=60)
        server.start()
        claims = await asyncio.gather(*(ledger.calls.claim([CALL_1], owner=B, lease_s=60) for _ in range(40)))
        assert claims == [[Done(Failure("kept"))]] * 40
        assert await ledger.calls.renew([CALL_2], owner=A, lease_s=60) == [True]


async def test_a_valkey_server_that_does_not_answer(own_valkey, monkeypatch) -> None:
    """A paused process is LedgerAway within the time-out, also for 40 concurrent requests, and works once it
    resumes."""
    monkeypatch.setattr(valkey_server, "TIMEOUT_S", 0.3)
    server = own_valkey()
    async with open_ledger(server.url) as ledger:
        os.kill(server.pid, signal.SIGSTOP)
        asked = (ledger.calls.claim([CallId(f"call-{n}")], owner=A, lease_s=60) for n in range(40))
        async with asyncio.timeout(4):  # sequentially they would take 12 s
            answers = await asyncio.gather(*asked, return_exceptions=True)
        os.kill(server.pid, signal.SIGCONT)
        assert {type(answer) for answer in answers} == {LedgerAway}
        assert await ledger.calls.claim([CallId("call-other")], owner=B, lease_s=60) == [Mine(60)]


async def test_a_valkey_server_with_no_memory_left(own_valkey) -> None:
    """It rejects writes: LedgerAway, no lost calls."""
    server = own_valkey()
    async with open_ledger(server.url) as ledger:
        server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(LedgerAway, match="memory"):
            await ledger.calls.complete({CALL_1: Failure("x")}, owner=A)
        server.ask("CONFIG", "SET", "maxmemory", "0")
        assert await ledger.calls.complete({CALL_1: Failure("x")}, owner=A) == [Failure("x")]


async def test_a_valkey_server_that_evicts_is_refused(own_valkey) -> None:
    """An evicted call would be paid for again. If CONFIG is not permitted, the server's operator is responsible."""
    server = own_valkey("--maxmemory-policy", "allkeys-lru")
    with pytest.raises(LedgerUnusable, match=r"allkeys-lru.*noeviction"):
        async with open_ledger(server.url):
            pass
    server.ask("ACL", "SETUSER", "default", "-config")
    async with open_ledger(server.url) as ledger:
        assert await ledger.calls.claim([CALL_1], owner=A, lease_s=1) == [Mine(1)]


@pytest.mark.parametrize("url", ["valkey://127.0.0.1:1/0", "redis://:secret@127.0.0.1:1/0", "unix:///nowhere/s"])
async def test_no_server_at_opening(url: str) -> None:
    """LedgerAway names the address, not the password."""
    with pytest.raises(LedgerAway) as caught:
        async with open_ledger(url):
            pass
    assert "call ledger" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgres://x/y", "", "sqlite://relative.db", "sqlite:///", "sqlite://host/x.db", "valkey://h/0?db=x"]
)
async def test_an_address_of_no_ledger(url: str) -> None:
    """LedgerUnusable: waiting does not help."""
    with pytest.raises(LedgerUnusable):
        async with open_ledger(url):
            pass


async def test_memory_can_be_away_too() -> None:
    """For tests of code that handles outages."""
    server = MemoryServer()
    ledger = memory_ledger(server)
    server.away = "as set by the test"
    with pytest.raises(LedgerAway, match="as set by the test"):
        await ledger.calls.claim([CALL_1], owner=A, lease_s=1)
    server.away = None
    async with open_ledger("memory://") as other:
        assert await other.books.claims() == await ledger.books.claims() == []
