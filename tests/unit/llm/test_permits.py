"""The gate: who gets a permit, and when."""

import asyncio
import random

import pytest

from services.core.errors import ModelAway, Reject, Retry
from services.llm.client import Endpoint
from services.llm.permits import PATIENCE_S, Gate, Permits
from services.llm.troubles import Busy, TimedOut


@pytest.fixture
def gated(virtually):
    def run(story, max_calls=2):
        async def main():
            await story(Gate(Endpoint("http://model/v1", timeout_s=100, max_calls=max_calls), random.Random(1)))

        virtually(main())

    return run


def test_first_come_first_served(gated):
    async def story(gate: Gate) -> None:
        tickets = [gate.queue() for _ in range(5)]
        assert [ticket.done() for ticket in tickets] == [True, True, False, False, False]
        gate.withdraw(tickets[2])
        gate.drop(tickets[0].result())
        assert [ticket.done() for ticket in tickets[3:]] == [True, False]
        gate.withdraw(tickets[3])  # it came, and isn't used
        assert tickets[4].done()

    gated(story)


def test_a_permit_that_came_to_who_gave_up_goes_to_the_next(gated):
    async def story(gate: Gate) -> None:
        first, second, third = (gate.queue() for _ in range(3))
        third.cancel()
        fourth = gate.queue()
        gate.drop(first.result())
        assert fourth.done()
        assert gate.under_way == 2
        gate.drop(second.result())

    gated(story)


def test_an_alias_that_is_away_is_probed_one_call_at_a_time(gated):
    async def story(gate: Gate) -> None:
        first, second = gate.queue(), gate.queue()
        gate.finish(first.result(), ModelAway("HTTP 503"))
        gate.finish(second.result(), ModelAway("HTTP 503"))
        tickets = [gate.queue() for _ in range(3)]
        assert gate.waiting()[0] == "away"
        assert gate.down().why == "HTTP 503"
        await asyncio.sleep(0.6)
        assert [ticket.done() for ticket in tickets] == [True, False, False]
        gate.finish(tickets[0].result(), ModelAway("HTTP 503"))
        await asyncio.sleep(1.1)
        assert [ticket.done() for ticket in tickets] == [True, True, False]
        gate.finish(tickets[1].result(), None)
        assert tickets[2].done()
        assert gate.down() is None

    gated(story)


def test_a_probe_that_is_not_refused_soon_has_been_accepted(gated):
    async def story(gate: Gate) -> None:
        gate.finish(gate.queue().result(), ModelAway("HTTP 503"))
        probe, other = gate.queue(), gate.queue()
        await asyncio.sleep(0.6)
        assert probe.done()
        assert not other.done()
        await asyncio.sleep(PATIENCE_S)
        assert other.done()
        assert gate.down() is None

    gated(story)


def test_a_probe_that_is_not_used_leaves_its_place_to_the_next(gated):
    async def story(gate: Gate) -> None:
        gate.finish(gate.queue().result(), ModelAway("HTTP 503"))
        probe, other = gate.queue(), gate.queue()
        await asyncio.sleep(0.6)
        gate.drop(probe.result())
        assert other.done()

    gated(story)


@pytest.mark.parametrize("trouble", [Retry("HTTP 500"), Reject("HTTP 400")])
def test_a_bad_answer_is_an_answer(gated, trouble):
    async def story(gate: Gate) -> None:
        gate.finish(gate.queue().result(), ModelAway("HTTP 503"))
        probe = gate.queue()
        await asyncio.sleep(0.6)
        gate.finish(probe.result(), trouble)
        assert gate.down() is None
        assert gate.limit.current == 2

    gated(story)


@pytest.mark.parametrize("trouble", [Busy("HTTP 429"), TimedOut("no reply")])
def test_strain_lowers_the_limit(gated, trouble):
    async def story(gate: Gate) -> None:
        tickets = [gate.queue() for _ in range(10)]
        await asyncio.sleep(1)
        gate.finish(tickets[0].result(), trouble)
        assert gate.limit.current == 4
        assert (gate.down() is not None) == isinstance(trouble, Busy)
        waiting = gate.queue()
        await asyncio.sleep(1)
        assert not waiting.done(), "nine are under way, and four are borne"
        for ticket in tickets[1:7]:
            gate.finish(ticket.result(), None)
        assert waiting.done()

    gated(story, max_calls=8)


def test_status_names_the_aliases_that_are_down(virtually):
    async def main() -> None:
        permits = Permits({"a": Endpoint("http://a/v1"), "b": Endpoint("http://b/v1")}, random.Random(1))
        gate = permits.gate("a")
        gate.finish(gate.queue().result(), ModelAway("HTTP 401: the key"))
        await asyncio.sleep(3)
        assert {alias: (down.why, down.for_s) for alias, down in permits.status().items()} == {
            "a": ("HTTP 401: the key", pytest.approx(3))
        }
        assert permits.limits() == {"a": 64, "b": 64}

    virtually(main())
