"""The gate: who gets a permit for which server, and when."""

import asyncio
import random
from typing import Any

import pytest

from services.core.endpoint import Endpoint
from services.core.errors import ModelAway, Reject, Retry
from services.llm.gate import PATIENCE_S, Gate
from services.llm.pool import LOOK_UP_S, Pool
from services.llm.troubles import Busy, TimedOut


class Probes:
    """Answers probes as the test says; without an answer, they hang."""

    def __init__(self) -> None:
        self.sent: list[str | None] = []
        self.answer: Exception | str = "works"

    async def __call__(self, request, server) -> None:
        self.sent.append(server.address)
        if self.answer == "hangs":
            await asyncio.sleep(10_000)
        if isinstance(self.answer, Exception):
            raise self.answer


@pytest.fixture
def gated(virtually):
    def run(story, max_calls=2, addresses=(None,)):
        async def main():
            probes = Probes()
            endpoint = Endpoint("http://model/v1", timeout_s=100, max_calls=max_calls)
            gate = Gate(endpoint, "writer", probe=probes, jitter=random.Random(1), addresses=addresses)
            try:
                await story(gate, probes)
            finally:
                await gate.close()

        virtually(main())

    return run


def test_first_come_first_served(gated, request_of):
    async def story(gate: Gate, _) -> None:
        tickets = [gate.queue(request_of()) for _ in range(5)]
        assert [ticket.done() for ticket in tickets] == [True, True, False, False, False]
        gate.withdraw(tickets[2])
        gate.drop(tickets[0].result())
        assert [ticket.done() for ticket in tickets[3:]] == [True, False]
        gate.withdraw(tickets[3])  # it came, and isn't used
        assert tickets[4].done()

    gated(story)


def test_a_permit_that_came_to_a_cancelled_ticket_goes_to_the_next(gated, request_of):
    async def story(gate: Gate, _) -> None:
        first, second, third = (gate.queue(request_of()) for _ in range(3))
        third.cancel()
        fourth = gate.queue(request_of())
        gate.drop(first.result())
        assert fourth.done()
        assert gate.in_flight == 2
        gate.drop(second.result())

    gated(story)


def test_a_server_that_is_away_is_probed_one_token_at_a_time(gated, request_of):
    async def story(gate: Gate, probes: Probes) -> None:
        probes.answer = ModelAway("HTTP 503")
        gate.failed(gate.queue(request_of()).result(), request_of(), ModelAway("no connection"))
        tickets = [gate.queue(request_of()) for _ in range(3)]
        assert gate.waiting()[0] == "away"
        assert gate.down() is None, "in doubt, until a probe has failed"
        await asyncio.sleep(60)
        assert (down := gate.down())
        assert (down.why, down.reason) == ("HTTP 503", "unreachable")
        assert not any(ticket.done() for ticket in tickets)
        assert 12 <= len(probes.sent) <= 30
        probes.answer = "works"
        await asyncio.sleep(6)
        assert [ticket.done() for ticket in tickets] == [True, True, False]
        assert gate.down() is None

    gated(story)


def test_a_probe_that_is_not_refused_soon_has_been_accepted(gated, request_of):
    async def story(gate: Gate, probes: Probes) -> None:
        probes.answer = "hangs"
        gate.failed(gate.queue(request_of()).result(), request_of(), ModelAway("no connection"))
        waiting = gate.queue(request_of())
        await asyncio.sleep(0.6)
        assert not waiting.done()
        await asyncio.sleep(PATIENCE_S)
        assert waiting.done()

    gated(story)


def test_a_defect_in_a_probe_is_no_end(gated, request_of):
    async def story(gate: Gate, probes: Probes) -> None:
        probes.answer = ZeroDivisionError("a defect")
        gate.failed(gate.queue(request_of()).result(), request_of(), ModelAway("no connection"))
        waiting = gate.queue(request_of())
        await asyncio.sleep(60)
        probes.answer = "works"
        await asyncio.sleep(6)
        assert waiting.done()

    gated(story)


@pytest.mark.parametrize("trouble", [Retry("HTTP 500"), Reject("HTTP 400"), TimedOut("no reply")])
def test_a_few_failures_in_a_row_are_a_doubt_and_one_probe_ends_it(gated, request_of, trouble):
    async def story(gate: Gate, probes: Probes) -> None:
        for number in range(3):
            assert gate.servers[0].circuit is None, number
            gate.failed(gate.queue(request_of()).result(), request_of(), trouble)
        waiting = gate.queue(request_of())
        assert not waiting.done()
        await asyncio.sleep(0.001)
        assert waiting.done()
        assert len(probes.sent) == 1

    gated(story)


def test_a_full_server_without_room_is_paused_not_asked_in_a_busy_loop(gated, request_of):
    async def story(gate: Gate, _) -> None:
        asked = 0
        held = [gate.queue(request_of()).result() for _ in range(5)]
        for _ in range(1_000):
            ticket = gate.queue(request_of())
            await asyncio.wait((ticket,), timeout=1)
            if ticket.done():
                gate.failed(ticket.result(), request_of(), Busy("HTTP 503"))
                asked += 1
            else:
                gate.withdraw(ticket)
        assert asked < 1_000
        assert asyncio.get_running_loop().time() > 1_200
        assert gate.servers[0].circuit is None, "five calls are in it"
        for permit in held:
            gate.worked(permit, request_of())

    gated(story, max_calls=256)


def test_a_busy_server_of_a_pool_is_passed_over(gated, request_of):
    async def story(gate: Gate, _) -> None:
        tickets = [gate.queue(request_of()).result() for _ in range(4)]
        full = tickets[0].server
        gate.failed(tickets[0], request_of(), Busy("HTTP 503"))
        assert full.limit.current == 1
        assert gate.queue(request_of(), first=True).result().server is not full

    gated(story, max_calls=4, addresses=("a:80", "b:80"))


def test_least_loaded_first(gated, request_of):
    async def story(gate: Gate, _) -> None:
        for _ in range(6):
            gate.queue(request_of())
        assert [server.in_flight for server in gate.servers] == [2, 2, 2]
        gate.set_addresses(["a:80", "d:80"])
        assert gate.queue(request_of()).result().server.address == "d:80"

    gated(story, max_calls=8, addresses=("a:80", "b:80", "c:80"))


def test_a_pool_without_servers_says_so(gated, request_of):
    async def story(gate: Gate, _) -> None:
        waiting = gate.queue(request_of())
        await asyncio.sleep(5)
        assert (down := gate.down())
        assert down.reason == "unreachable"
        assert gate.waiting()[0] == "away"
        gate.set_addresses(["a:80"])
        assert waiting.done()

    gated(story, addresses=())


def test_a_name_is_looked_up_every_five_seconds_and_a_failure_changes_nothing(virtually):
    async def main() -> None:
        found: list[list[str] | OSError] = [OSError("no such name"), ["a:80"], ["a:80"], OSError("away"), [], ["b:80"]]
        changes: list[Any] = []

        async def look_up(host, port):
            assert (host, port) == ("pool.models", 8_000)
            answer = found.pop(0)
            if isinstance(answer, OSError):
                raise answer
            return answer

        pool = Pool(Endpoint("http://pool.models:8000/v1", pool="dns"), look_up)
        following = asyncio.create_task(pool.follow(changes.append))
        await asyncio.sleep(5.5 * LOOK_UP_S)
        assert changes == [["a:80"], ["b:80"]]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    virtually(main())
