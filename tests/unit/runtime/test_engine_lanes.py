"""An engine that reads both lanes of a topic: live records first, a room of their own, and neither lane starves."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

import pytest

from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from services.runtime.kafka.memory import MemorySource
from tests.unit.runtime.conftest import names

Eventually = Callable[..., Awaitable[None]]

BOTH = ("in", "in-backfill")


@pytest.fixture
def source(bench: Any) -> MemorySource:
    return MemorySource(bench.broker, topics=BOTH, group="toys")


def backfill(bench: Any, *values: bytes) -> None:
    for value in values:
        bench.broker.append(OutgoingRecord("in-backfill", value, value, {}))


async def test_live_records_are_taken_first(bench: Any, source: MemorySource, eventually: Eventually) -> None:
    bench.send(*names(90))
    backfill(bench, *names(50, 1_000))
    async with bench.worker(limits={"cases": 100}, source=source):
        await eventually(lambda: len(bench.outputs()) == 140)
    first = bench.begun.pop(0)
    assert first == b"1000", "one of backfill, so that it has a turn in a process that ends soon"
    assert bench.begun == [*names(90), *names(49, 1_001)]


class Endless(MemorySource):
    """Another live record arrives with each poll."""

    polls = 0

    async def poll(self, wanted: Collection[TopicPartition], *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        self.polls += 1
        self._broker.append(OutgoingRecord("in", b"live", b"live %d" % self.polls, {}))
        return await super().poll(wanted, limit=min(limit, 1), timeout_s=timeout_s)


async def test_backfill_has_its_share_while_live_records_never_end(bench: Any, eventually: Eventually) -> None:
    source = Endless(bench.broker, topics=BOTH, group="toys")
    backfill(bench, *names(10, 1_000))
    async with bench.worker(limits={"cases": 1_000}, source=source):
        await eventually(lambda: set(names(10, 1_000)) <= set(bench.begun))
    places = [place for place, value in enumerate(bench.begun) if value in names(10, 1_000)]
    assert places == [10 * number for number in range(10)], "one of ten, no more and no less"


async def test_live_records_find_room_while_the_backfill_uses_all_of_its_own(
    bench: Any, source: MemorySource, eventually: Eventually
) -> None:
    backfill(bench, *names(50, 1_000))
    bench.hold_back(*names(50, 1_000))
    async with bench.worker(limits={"cases": 3}, source=source) as worker:
        await eventually(lambda: worker.engine.state().in_flight == 3)
        bench.send(*names(20))
        await eventually(lambda: set(bench.outputs()) == set(names(20)))
        assert worker.engine.state().in_flight == 3
        bench.let(*names(50, 1_000))
        await eventually(lambda: len(bench.outputs()) == 70)


async def test_the_lanes_survive_a_kill(bench: Any, eventually: Eventually) -> None:
    """The lane is the topic, so that a restart forgets nothing: what was not committed is read again in its lane."""
    backfill(bench, *names(30, 1_000))
    bench.send(*names(30))
    bench.hold_back(b"3", b"1003")
    source = MemorySource(bench.broker, topics=BOTH, group="toys")
    async with bench.worker(limits={"cases": 4, "leave_s": 0.0}, source=source):
        await eventually(lambda: {b"3", b"1003"} <= set(bench.begun))
    bench.let(b"3", b"1003")
    again = MemorySource(bench.broker, topics=BOTH, group="toys")
    async with bench.worker(limits={"cases": 4}, source=again):
        await eventually(lambda: set(bench.outputs()) == {*names(30), *names(30, 1_000)})


async def test_priority_within_a_lane_and_room_by_lane(bench: Any, eventually: Eventually) -> None:
    topics = ("first", "in", "first-backfill", "in-backfill")
    source = MemorySource(bench.broker, topics=topics, group="toys")
    backfill(bench, *names(10, 1_000))
    bench.send(*names(10))
    for value in names(10, 100):
        bench.broker.append(OutgoingRecord("first", value, value, {}))
    for value in names(10, 2_000):
        bench.broker.append(OutgoingRecord("first-backfill", value, value, {}))
    async with bench.worker(limits={"cases": 1, "by_priority": topics}, source=source):
        await eventually(lambda: len(bench.outputs()) == 40)
    live = [value for value in bench.begun if value in {*names(10), *names(10, 100)}]
    late = [value for value in bench.begun if value not in live]
    assert live == [*names(10, 100), *names(10)]
    assert late == [*names(10, 2_000), *names(10, 1_000)]
