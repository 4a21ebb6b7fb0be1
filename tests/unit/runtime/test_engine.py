"""The engine with Kafka and the ledger in memory: what it takes and commits (rules 1, 2, 4)."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from services.core.messages import OutgoingRecord, TopicPartition
from services.runtime.engine.commit_rule import Committed
from services.runtime.kafka.memory import MemorySource
from tests.unit.runtime.conftest import names

Eventually = Callable[..., Awaitable[None]]


async def test_in_order_one_record_of_a_partition_is_in_flight(two_partitions: Any, eventually: Eventually) -> None:
    bench = two_partitions
    stuck = next(name for name in names(9) if bench.broker.partition("in", name).partition == 0)
    other = next(name for name in names(9) if bench.broker.partition("in", name).partition == 1)
    bench.hold_back(b"the first")
    bench.send(b"the first", *names(5), key=stuck)
    bench.send(*names(5, 100), key=other)
    async with bench.worker(limits={"in_order": True}):
        await eventually(lambda: bench.committed(TopicPartition("in", 1)) == Committed(5))
        assert [value for value in bench.begun if value not in names(5, 100)] == [b"the first"]
        bench.let(b"the first")
        await eventually(lambda: bench.committed(TopicPartition("in", 0)) == Committed(6))
    assert [value for value in bench.begun if value in names(5)] == names(5)
    assert [value for value in bench.begun if value in names(5, 100)] == names(5, 100)


async def test_a_topic_whose_records_all_wait_blocks_no_other(bench: Any, eventually: Eventually) -> None:
    source = MemorySource(bench.broker, topics=["in", "also"], group="toys")
    bench.send(*names(50))
    bench.hold_back(*names(50))
    async with bench.worker(limits={"cases": 3}, source=source) as worker:
        await eventually(lambda: len(bench.begun) == 3)
        for value in names(50, 100):
            bench.broker.append(OutgoingRecord("also", value, value, {}))
        await eventually(lambda: len(bench.outputs()) == 50)
        await eventually(lambda: worker.engine.state().in_flight == 3)  # a record ends after its output is there
        bench.let(*names(50))
        await eventually(lambda: len(bench.outputs()) == 100)


async def test_by_priority_a_record_of_a_later_topic_waits_for_those_of_an_earlier_one(
    bench: Any, eventually: Eventually
) -> None:
    """They share the room for records in flight."""
    source = MemorySource(bench.broker, topics=["first", "in"], group="toys")
    bench.send(*names(40))
    bench.hold_back(b"0", b"1")
    async with bench.worker(limits={"cases": 2, "by_priority": ("first", "in")}, source=source) as worker:
        await eventually(lambda: bench.begun == names(2))
        for value in names(30, 100):
            bench.broker.append(OutgoingRecord("first", value, value, {}))
        pauses = worker.counters.pauses
        await eventually(lambda: worker.counters.pauses >= pauses + 3)
        assert bench.begun == names(2), "no room of its own"
        bench.let(b"0", b"1")
        await eventually(lambda: len(bench.outputs()) == 70)
    assert bench.begun == [*names(2), *names(30, 100), *names(38, 2)]


async def test_only_the_contiguous_prefix_is_committed(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(5))
    bench.hold_back(b"0", b"3")
    async with bench.worker() as worker:
        await eventually(lambda: len(bench.outputs()) == 3 and bench.committed())
        assert bench.committed().offset == 0
        bench.let(b"0")
        await eventually(lambda: bench.committed().offset == 3)
        bench.let(b"3")
        await eventually(lambda: bench.committed() == Committed(5))
        assert worker.counters.taken == worker.counters.finished == 5


async def test_offsets_finished_above_the_commit_are_not_repeated(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(5))
    bench.hold_back(b"0")
    async with bench.worker() as first:
        await eventually(lambda: len(bench.outputs()) == 4 and (due := bench.committed()) and due.metadata)
        await first.die()
    bench.let(b"0")
    async with bench.worker() as second:
        await eventually(lambda: bench.committed() == Committed(5))
    assert sorted(bench.outputs()) == names(5)
    assert second.counters.skipped == 4
    assert sorted(bench.begun) == [b"0", *names(5)]


async def test_nothing_is_finished_before_the_broker_has_it(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: bench.begun)
        bench.broker.away = "gone"
        bench.let(b"0")
        await eventually(lambda: worker.counters.waits.total() > 1)
        assert worker.counters.finished == 0
        bench.broker.away = None
        await eventually(lambda: bench.committed() == Committed(1))
    assert bench.outputs() == [b"0"]


async def test_a_gap_is_no_hole(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.broker.append(OutgoingRecord("in", b"9", b"9", {}), offset=9)
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(10))
        assert worker.counters.absent == 8, "but is counted"


async def test_offsets_deleted_before_the_commit_are_absent(bench: Any, eventually: Eventually) -> None:
    bench.broker.commits["toys", TopicPartition("in", 0)] = Committed(2)
    bench.broker.append(OutgoingRecord("in", b"5", b"5", {}), offset=5)
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(6))
        assert worker.counters.absent == 3


async def test_offsets_that_go_back_are_another_log(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(5))
    bench.hold_back(b"4", b"again 4")
    async with bench.worker():
        await eventually(lambda: len(bench.outputs()) == 4 and bench.committed())
        bench.broker.wipe("in")
        bench.send(*(b"again " + name for name in names(3)))
        await eventually(lambda: bench.committed() == Committed(3))
        assert bench.inside[b"4"] == 0, "what was under way belongs to the log that is gone"
        bench.send(b"again 3", b"again 4")
        await eventually(lambda: bench.committed() == Committed(4))
        bench.let(b"again 4")
        await eventually(lambda: bench.committed() == Committed(5))


async def test_never_more_under_way_than_permits(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(50))
    async with bench.worker(limits={"cases": 3}):
        await eventually(lambda: len(bench.outputs()) == 50)
    assert bench.most_inside == 3


async def test_a_stuck_offset_lets_only_a_window_in_and_stops_no_other_partition(
    two_partitions: Any, eventually: Eventually
) -> None:
    bench = two_partitions
    stuck = next(name for name in names(9) if bench.broker.partition("in", name).partition == 0)
    other = next(name for name in names(9) if bench.broker.partition("in", name).partition == 1)
    bench.hold_back(b"the first")
    bench.send(b"the first", key=stuck)
    bench.send(*names(100), key=stuck)
    bench.send(*names(100, 100), key=other)
    async with bench.worker(limits={"cases": 4, "window": 10}) as worker:
        await eventually(lambda: bench.committed(TopicPartition("in", 1)) == Committed(100))
        assert 10 <= worker.engine._windows[TopicPartition("in", 0)].size < 10 + 4
        bench.let(b"the first")
        await eventually(lambda: bench.committed(TopicPartition("in", 0)) == Committed(101))


async def test_polls_go_on_while_saturated_without_a_busy_loop(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(3))
    bench.hold_back(*names(3))
    async with bench.worker(limits={"cases": 2, "poll_s": 0.05}) as worker:
        await eventually(lambda: len(bench.begun) == 2)
        before, begun = worker.counters.pauses, time.monotonic()
        await eventually(lambda: worker.counters.pauses >= before + 5)
        assert time.monotonic() - begun > 0.1, "four waits lie between; a look at the circuit may cut one short"
        assert worker.engine.state().in_flight == 2
        bench.let(*names(3))
        await eventually(lambda: bench.committed() == Committed(3))
