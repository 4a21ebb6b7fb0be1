"""Limits and pools under load, in virtual time, against simulated servers: what the figures of docs/model-servers.md
rest on."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.core.endpoint import Endpoint
from services.core.errors import Reject, Retry
from services.core.ledger.calls import Reply, Request
from services.llm.gate import Gate
from services.llm.server import Server
from services.llm.troubles import Busy, TimedOut
from tests.unit.llm.conftest import reply_to


@dataclass
class Simulated:
    """A server that serves `slots` calls at once, `call_s` each, and refuses beyond `room`."""

    slots: int
    call_s: float
    room: int | None = None
    trouble: Callable[[Request], Exception | None] = lambda _: None
    served: list[float] = field(default_factory=list)
    refused: int = 0
    inside: int = 0

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.slots)

    async def send(self, request: Request) -> Reply:
        if self.room is not None and self.inside >= self.room:
            self.refused += 1
            raise Busy("HTTP 503")
        if (trouble := self.trouble(request)) is not None:
            raise trouble
        self.inside += 1
        try:
            async with self._slots:
                await asyncio.sleep(self.call_s)
        finally:
            self.inside -= 1
        self.served.append(asyncio.get_running_loop().time())
        return reply_to(request)

    def rate(self, since: float, until: float) -> float:
        return sum(since <= at < until for at in self.served) / (until - since)


class Load:
    """So many calls always wanted, through a gate, each sent until it is served."""

    def __init__(self, servers: dict[str | None, Simulated], request_of, *, max_calls: int, timeout_s: float = 600):
        self.servers = servers
        self._request_of = request_of
        self._numbers = iter(range(10**9))
        self.gate = Gate(
            Endpoint("http://m/v1", max_calls=max_calls, timeout_s=timeout_s),
            "writer",
            probe=self._probe,
            jitter=random.Random(1),
            addresses=list(servers),
        )
        self.sent = Counter[str | None]()
        self.failed = 0
        self._tasks: list[asyncio.Task[Any]] = []

    async def _probe(self, request: Request, server: Server) -> None:
        await self.servers[server.address].send(request)

    def run(self, callers: int, **request) -> None:
        self._tasks += [asyncio.create_task(self._caller(request)) for _ in range(callers)]

    async def _caller(self, changes) -> None:
        while True:
            await self.call(self._request_of(next(self._numbers), **changes))

    async def call(self, request: Request) -> None:
        while True:
            permit = await self.gate.queue(request)
            self.sent[permit.server.address] += 1
            try:
                await self.servers[permit.server.address].send(request)
            except (Busy, Retry, Reject) as trouble:
                self.failed += 1
                self.gate.failed(permit, request, trouble)
                if not isinstance(trouble, Busy):
                    await asyncio.sleep(1)
            else:
                self.gate.worked(permit, request)
                return

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.gate.close()


@pytest.fixture
def loaded(virtually):
    def run(story) -> None:
        virtually(story())

    return run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_storm_of_429s_is_over_after_five_flights(loaded, request_of):
    async def story() -> None:
        storm = False
        server = Simulated(256, 10, trouble=lambda _: Busy("HTTP 429") if storm else None)
        load = Load({None: server}, request_of, max_calls=256)
        load.run(300)
        await asyncio.sleep(100)
        storm = True
        await asyncio.sleep(60)
        storm = False
        over = now()
        await asyncio.sleep(100)
        assert server.rate(over + 50, over + 60) >= 0.9 * 25.6
        await load.stop()

    loaded(story)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_partial_storm_is_over_after_five_flights(loaded, request_of, share):
    async def story() -> None:
        storm, chance = False, random.Random(1)
        server = Simulated(256, 10, trouble=lambda _: Busy("HTTP 429") if storm and chance.random() < share else None)
        load = Load({None: server}, request_of, max_calls=256)
        load.run(300)
        await asyncio.sleep(100)
        storm = True
        await asyncio.sleep(60)
        storm = False
        over = now()
        await asyncio.sleep(100)
        assert server.rate(over + 50, over + 60) >= 0.9 * 25.6
        await load.stop()

    loaded(story)


@pytest.mark.parametrize("at_once", [256, 1_000])
def test_single_time_outs_lower_nothing(loaded, request_of, at_once):
    async def story() -> None:
        chance = random.Random(1)
        server = Simulated(at_once, 60)
        load = Load({None: server}, request_of, max_calls=at_once)
        send = server.send

        async def slow_now_and_then(request):
            if chance.random() < 0.001:
                await asyncio.sleep(600)
                raise TimedOut("no whole reply")
            return await send(request)

        server.send = slow_now_and_then
        load.run(at_once + 50)
        began = now()
        await asyncio.sleep(3_000)
        assert server.rate(began + 600, began + 3_000) >= 0.95 * at_once / 60
        assert load.gate.limit == at_once
        await load.stop()

    loaded(story)


def test_a_server_that_bears_less_than_was_thought_is_found_and_kept_full(loaded, request_of):
    async def story() -> None:
        server = Simulated(16, 30, room=20)
        load = Load({None: server}, request_of, max_calls=64)
        load.run(64)
        began = now()
        await asyncio.sleep(3_000)
        assert server.rate(began + 30, began + 3_000) >= 0.95 * 16 / 30
        assert server.refused < 0.3 * len(server.served)
        await load.stop()

    loaded(story)


def test_a_pool_of_servers_that_refuse_beyond_their_room_is_kept_full(loaded, request_of):
    async def story() -> None:
        servers: dict[str | None, Simulated] = {f"10.0.0.{n}:80": Simulated(32, 10, room=39) for n in range(4)}
        load = Load(servers, request_of, max_calls=128)
        load.run(4 * 128)
        began = now()
        await asyncio.sleep(1_000)
        served = sum(server.rate(began + 10, began + 1_000) for server in servers.values())
        assert served >= 0.95 * 4 * 32 / 10
        await load.stop()

    loaded(story)


def test_a_pool_grows_and_shrinks(loaded, request_of):
    async def story() -> None:
        servers: dict[str | None, Simulated] = {f"10.0.0.{n}:80": Simulated(32, 5) for n in range(4)}
        names = list(servers)
        load = Load(servers, request_of, max_calls=32)
        load.gate.set_addresses(names[:1])
        load.run(200)
        await asyncio.sleep(50)
        alone = servers[names[0]].rate(now() - 20, now())
        load.gate.set_addresses(names)
        grown = now()
        load.sent.clear()
        await asyncio.sleep(10)
        assert all(load.sent[name] >= 0.15 * load.sent.total() for name in names[1:])
        await asyncio.sleep(20)
        assert sum(server.rate(grown + 10, grown + 30) for server in servers.values()) >= 3.4 * alone
        load.gate.set_addresses(names[:1])
        load.sent.clear()
        await asyncio.sleep(30)
        assert set(load.sent) == {names[0]}
        assert load.failed == 0
        assert all(server.inside == 0 for name, server in servers.items() if name != names[0])
        await load.stop()

    loaded(story)


def test_a_lost_server_costs_only_its_own_calls(loaded, request_of):
    async def story() -> None:
        lost = False
        servers: dict[str | None, Simulated] = {f"10.0.0.{n}:80": Simulated(8, 5) for n in range(4)}
        servers["10.0.0.3:80"].trouble = lambda _: Retry("HTTP 502") if lost else None
        load = Load(servers, request_of, max_calls=8)
        load.run(64)
        await asyncio.sleep(50)
        lost = True
        await asyncio.sleep(100)
        assert load.failed <= 2 * 8, "those in it, and those sent in the same moment"
        others = [server for name, server in servers.items() if name != "10.0.0.3:80"]
        assert sum(server.rate(now() - 50, now()) for server in others) >= 0.95 * 3 * 8 / 5
        lost = False
        await asyncio.sleep(30)
        assert servers["10.0.0.3:80"].rate(now() - 20, now()) >= 0.9 * 8 / 5
        await load.stop()

    loaded(story)


def test_a_cases_judge_calls_meet_in_one_server_while_it_has_room(loaded, request_of):
    async def story() -> None:
        servers: dict[str | None, Simulated] = {f"10.0.0.{n}:80": Simulated(64, 5) for n in range(4)}
        load = Load(servers, request_of, max_calls=64)
        met: dict[str, Counter[str | None]] = {}
        for number in range(200):
            case_id = f"case-{number}"
            for slot in range(9):
                request = request_of(number * 100 + slot, case_id=case_id, stage="verify")
                permit = await load.gate.queue(request)
                met.setdefault(case_id, Counter())[permit.server.address] += 1
                asyncio.get_running_loop().call_later(5, load.gate.worked, permit, request)
            await asyncio.sleep(0.5)
        together = sum(max(counts.values()) for counts in met.values())
        assert together >= 0.9 * 200 * 9
        by_server = sum(met.values(), Counter())
        assert min(by_server.values()) >= 0.15 * by_server.total()
        await asyncio.sleep(10)
        await load.stop()

    loaded(story)
