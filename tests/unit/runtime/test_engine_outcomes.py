"""The engine with Kafka and the ledger in memory: how a record ends (rules 3 and 12)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.core.errors import BrokerAway, Dead, LedgerAway, ModelAway
from services.core.messages import OutgoingRecord, Position
from services.runtime.engine.commit_rule import Committed
from services.runtime.kafka.memory import MemorySink
from tests.unit.runtime.conftest import names, polled

Eventually = Callable[..., Awaitable[None]]


async def test_a_dead_letter_has_the_originals_bytes(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0", b"1", key=b"key")
    bench.raises[b"1"] = [Dead("poison", "no case")]
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(2))
    [(reason, letter)] = bench.dead()
    assert (reason.service, reason.kind, reason.error, reason.attempts) == ("toy", "poison", "no case", 1)
    assert (reason.topic, reason.partition, reason.offset) == ("in", 0, 1)
    assert (letter.key, letter.value, letter.headers["from"]) == (b"key", b"1", b"test")
    assert worker.counters.dead == {"poison": 1}
    assert bench.outputs() == [b"0"]


async def test_unexpected_exceptions_are_retried_twice(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0", b"1")
    bench.raises[b"0"] = [KeyError("once"), KeyError("twice")]
    bench.raises[b"1"] = [ValueError("x" * 1_000)] * 3
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(2))
    [(reason, _)] = bench.dead()
    assert (reason.kind, reason.offset) == ("defect", 1)
    assert reason.error == "ValueError: " + "x" * 300
    assert bench.outputs() == [b"0"]
    assert worker.counters.retried == 4


async def test_a_cancellation_that_is_not_ours_is_a_defect(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.raises[b"0"] = [asyncio.CancelledError()] * 3
    async with bench.worker():
        await eventually(lambda: bench.committed() == Committed(1))
    [(reason, _)] = bench.dead()
    assert reason.kind == "defect"


@pytest.mark.parametrize("away", [ModelAway("full", retry_after=0.001), LedgerAway("locked"), BrokerAway("restarting")])
async def test_records_are_held_while_a_dependency_is_away(bench: Any, eventually: Eventually, away: Exception) -> None:
    bench.send(b"0")
    bench.raises[b"0"] = [away] * 8
    async with bench.worker():
        await eventually(lambda: bench.holds.counts()["away"])
        await eventually(lambda: bench.committed() == Committed(1))
    assert bench.outputs() == [b"0"]
    assert not bench.dead()


async def test_a_ledger_that_is_away_is_waited_for(bench: Any, eventually: Eventually) -> None:
    bench.server.away = "locked"
    bench.send(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: worker.counters.waits.total() > 2)
        assert not bench.begun
        assert "the ledger has not been asked" in str(worker.engine.health().why)
        bench.server.away = None
        await eventually(lambda: bench.committed() == Committed(1))
    assert bench.outputs() == [b"0"]


async def test_an_output_that_is_refused_makes_a_dead_letter(bench: Any, eventually: Eventually) -> None:
    class Refuses:
        def __init__(self, sink: Any) -> None:
            self.sink, self.refused = sink, 0

        async def publish(self, messages: Any) -> None:
            if messages[0].topic == "out" or self.refused < 3:
                self.refused += 1
                raise Dead("defect", "too large")
            await self.sink.publish(messages)

    bench.send(b"0")
    async with bench.worker(sink=Refuses(MemorySink(bench.broker))):
        await eventually(lambda: bench.committed() == Committed(1))
    [(reason, _)] = bench.dead()
    assert (reason.kind, reason.error) == ("defect", "too large")


async def test_a_message_that_leads_to_nothing_is_finished(bench: Any, eventually: Eventually) -> None:
    async def nothing(message: Any) -> list[OutgoingRecord]:
        return []

    bench.send(b"0")
    async with bench.worker(handle=nothing):
        await eventually(lambda: bench.committed() == Committed(1))


@pytest.mark.parametrize("port", ["attempts", "circuits"])
async def test_a_defect_of_our_own_ends_the_process(bench: Any, port: str) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("a bug")

    bench.send(b"0")
    with pytest.raises(ExceptionGroup) as raised:
        async with bench.worker(**{port: Broken()}) as worker:
            await asyncio.wait({worker.running}, timeout=5)
    assert raised.group_contains(RuntimeError, match="a bug")


async def leave_open(bench: Any, offset: int, count: int) -> None:
    for number in range(count):
        await bench.ledger.open_attempt("toy", Position("in", 0, offset), owner=f"dead process {number}")


async def test_a_message_that_may_kill_runs_alone(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(5))
    bench.hold_back(b"0", b"1", b"2")
    await leave_open(bench, 1, 3)
    async with bench.worker(limits={"cases": 3}) as worker:
        await eventually(lambda: bench.begun)
        await polled(worker, eventually)
        assert bench.inside == {b"0": 1}, "it waits until the other is done, and nothing new is begun"
        assert await bench.left_open(1) == 3, "it is not counted while it waits"
        assert await bench.left_open(2) == 0, "nor is who waits for it"
        bench.let(b"0", b"2")
        await eventually(lambda: bench.inside[b"1"] == 1)
        await polled(worker, eventually)
        assert bench.inside.total() == 1
        assert await bench.left_open(1) == 4
        bench.let(b"1")
        await eventually(lambda: bench.committed() == Committed(5))
        assert worker.counters.finished == 5
    assert await bench.left_open(1) == 0


async def test_a_message_that_killed_even_alone_is_dead(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(2))
    await leave_open(bench, 0, 4)
    async with bench.worker():
        await eventually(lambda: bench.committed() == Committed(2))
    [(reason, letter)] = bench.dead()
    assert (reason.kind, reason.attempts, letter.value) == ("killer", 5, b"0")
    assert reason.error.startswith("4 attempts at it were left open"), "who looks at it learns what was counted"
    assert b"0" not in bench.begun


async def test_a_killer_that_is_read_again_is_as_dead_as_before(bench: Any, eventually: Eventually) -> None:
    """Its dead letter was confirmed, its offset's commit lost with the broker: it lived after all once, and its
    case had two ends."""
    bench.send(*names(2))
    await leave_open(bench, 0, 4)
    for _ in range(2):
        async with bench.worker():
            await eventually(lambda: bench.committed() == Committed(2))
        bench.broker.commits.clear()
    (_, first), (_, again) = bench.dead()
    assert (again.key, again.value, again.headers) == (first.key, first.value, first.headers)
    assert b"0" not in bench.begun


@pytest.mark.parametrize("dead", [Dead("not_yet", "no recipe"), ValueError("a defect"), Dead("poison", "no case")])
async def test_what_is_dead_once_has_no_other_end(bench: Any, eventually: Eventually, dead: Exception) -> None:
    """Its dead letter was confirmed, its offset's commit lost; meanwhile the cause was repaired."""
    bench.send(*names(2))
    bench.raises[b"0"] = [dead] * 9
    async with bench.worker():
        await eventually(lambda: bench.committed() == Committed(2))
    bench.broker.commits.clear()
    bench.raises[b"0"] = []
    begun = bench.begun.count(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(2))
        assert worker.counters.finished == 2
    (_, first), (_, again) = bench.dead()
    assert (again.key, again.value, again.headers) == (first.key, first.value, first.headers)
    assert bench.begun.count(b"0") == begun
    assert b"0" not in bench.outputs()


async def test_two_that_may_kill_run_one_after_the_other(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(3))
    for offset in range(3):
        await leave_open(bench, offset, 3)
    async with bench.worker():
        await eventually(lambda: bench.committed() == Committed(3))
    assert bench.most_inside == 1


async def test_only_a_process_that_died_leaves_an_attempt(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: bench.begun)
        await worker.die()
    assert await bench.left_open(0) == 1
