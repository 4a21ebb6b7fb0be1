"""The engine's rules, one by one, with Kafka and the ledger in memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.core.errors import BrokerAway, Dead, Draining, LedgerAway, ModelAway
from services.core.messages import OutgoingRecord, Position
from services.runtime.engine.committer import Committer
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import TopicPartition
from services.runtime.engine.stats import EngineStats
from services.runtime.engine.window import Committed, Window
from services.runtime.kafka.memory import MemorySink

Eventually = Callable[..., Awaitable[None]]


def names(count: int, start: int = 0) -> list[bytes]:
    return [str(number).encode() for number in range(start, start + count)]


async def polled(worker: Any, eventually: Eventually) -> None:
    """Return when it has polled some times more with no appetite: what it would have done, it has done."""
    before = worker.engine._taker.pauses
    await eventually(lambda: worker.engine._taker.pauses >= before + 3)


# --- rule 1: commit in order, finish out of order --------------------------------------------------------------------


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
        assert worker.stats.taken == worker.stats.finished == 5


async def test_what_is_finished_above_the_commit_is_not_done_again(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(5))
    bench.hold_back(b"0")
    async with bench.worker() as first:
        await eventually(lambda: len(bench.outputs()) == 4 and (due := bench.committed()) and due.metadata)
        await first.die()
    bench.let(b"0")
    async with bench.worker() as second:
        await eventually(lambda: bench.committed() == Committed(5))
    assert sorted(bench.outputs()) == names(5)
    assert second.stats.skipped == 4
    assert sorted(bench.begun) == [b"0", *names(5)]


async def test_nothing_is_finished_before_the_broker_has_it(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: bench.begun)
        bench.broker.away = "gone"
        bench.let(b"0")
        await eventually(lambda: worker.stats.waited > 1)
        assert worker.stats.finished == 0
        bench.broker.away = None
        await eventually(lambda: bench.committed() == Committed(1))
    assert bench.outputs() == [b"0"]


async def test_a_gap_is_no_hole(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.broker.append(OutgoingRecord("in", b"9", b"9", {}), offset=9)
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(10))
        assert worker.stats.absent == 8, "but is counted"


async def test_what_is_gone_before_the_commit_is_absent_too(bench: Any, eventually: Eventually) -> None:
    bench.broker.commits["toys", TopicPartition("in", 0)] = Committed(2)
    bench.broker.append(OutgoingRecord("in", b"5", b"5", {}), offset=5)
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(6))
        assert worker.stats.absent == 3


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


# --- rule 2: permits first, bounded windows --------------------------------------------------------------------------


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


# --- rule 3: an output, a dead letter, or no acknowledgement ---------------------------------------------------------


async def test_a_dead_letter_has_the_originals_bytes(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0", b"1", key=b"key")
    bench.raises[b"1"] = [Dead("poison", "no case")]
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(2))
    [(reason, letter)] = bench.dead()
    assert (reason.service, reason.kind, reason.error, reason.attempts) == ("toy", "poison", "no case", 1)
    assert (reason.topic, reason.partition, reason.offset) == ("in", 0, 1)
    assert (letter.key, letter.value, letter.headers["from"]) == (b"key", b"1", b"test")
    assert worker.stats.dead == {"poison": 1}
    assert bench.outputs() == [b"0"]


async def test_what_a_handler_shouldnt_raise_is_tried_twice_more(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0", b"1")
    bench.raises[b"0"] = [KeyError("once"), KeyError("twice")]
    bench.raises[b"1"] = [ValueError("x" * 1_000)] * 3
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(2))
    [(reason, _)] = bench.dead()
    assert (reason.kind, reason.offset) == ("defect", 1)
    assert reason.error == "ValueError: " + "x" * 300
    assert bench.outputs() == [b"0"]
    assert worker.stats.retried == 4


async def test_a_cancellation_that_is_not_ours_is_a_defect(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.raises[b"0"] = [asyncio.CancelledError()] * 3
    async with bench.worker():
        await eventually(lambda: bench.committed() == Committed(1))
    [(reason, _)] = bench.dead()
    assert reason.kind == "defect"


@pytest.mark.parametrize("away", [ModelAway("full", retry_after=0.001), LedgerAway("locked"), BrokerAway("restarting")])
async def test_what_is_away_is_waited_for(bench: Any, eventually: Eventually, away: Exception) -> None:
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
        await eventually(lambda: worker.stats.waited > 2)
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


async def test_a_defect_of_our_own_ends_the_process(bench: Any) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("a bug")

    with pytest.raises(ExceptionGroup) as raised:
        async with bench.worker(attempts=Broken()) as worker:
            await asyncio.wait({worker.running})
    assert raised.group_contains(RuntimeError, match="a bug")


# --- rule 4: never stop polling --------------------------------------------------------------------------------------


async def test_polls_go_on_while_saturated_without_a_busy_loop(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(3))
    bench.hold_back(*names(3))
    async with bench.worker(limits={"cases": 2, "poll_s": 0.05}) as worker:
        await eventually(lambda: len(bench.begun) == 2)
        before, begun = worker.engine._taker.pauses, time.monotonic()
        await eventually(lambda: worker.engine._taker.pauses >= before + 5)
        assert time.monotonic() - begun > 0.1, "four waits lie between; a look at the circuit may cut one short"
        assert worker.stats.under_way == 2
        bench.let(*names(3))
        await eventually(lambda: bench.committed() == Committed(3))


# --- rule 5: revocation ----------------------------------------------------------------------------------------------


async def test_a_revocation_commits_lets_go_and_begins_anew(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(4))
    bench.hold_back(b"1")
    async with bench.worker(limits={"commit_s": 60.0}) as worker:
        await eventually(lambda: len(bench.outputs()) == 3)
        await worker.source.rebalance()
        committed = bench.committed()
        assert committed.offset == 1, "the prefix, within the callback"
        assert committed.metadata, "and what is finished above it"
        await eventually(lambda: bench.begun.count(b"1") == 2)
        bench.let(b"1")
        await eventually(lambda: len(bench.outputs()) == 4)
    assert sorted(bench.outputs()) == names(4)
    assert worker.stats.rebalances == 1
    assert worker.stats.skipped == 2
    assert bench.committed() == Committed(4)


async def test_what_is_revoked_is_not_published_and_leaves_no_attempt(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: bench.begun)
        assert await bench.left_open(0) == 1
        worker.stats.draining = True  # so that it isn't begun anew
        await worker.source.rebalance()
        await eventually(lambda: not worker.stats.under_way)
        assert await bench.left_open(0) == 0
        bench.let(b"0")
        await polled(worker, eventually)
        assert not bench.outputs()


async def test_a_message_is_begun_anew_only_after_its_attempt_was_closed(bench: Any, eventually: Eventually) -> None:
    events: list[str] = []

    class Slow:
        async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
            events.append("open")
            return int(await bench.ledger.open_attempt(service, position, owner=owner))

        async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
            await asyncio.sleep(0.05)
            await bench.ledger.close_attempt(service, position, owner=owner)
            events.append("closed")

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.ledger, name)

    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker(attempts=Slow()) as worker:
        await eventually(lambda: bench.begun)
        await worker.source.rebalance()
        await eventually(lambda: len(bench.begun) == 2)
        assert events == ["open", "closed", "open"]
        assert await bench.left_open(0) == 1
        bench.let(b"0")


async def test_an_attempt_is_closed_before_the_next_however_often_it_is_revoked(
    bench: Any, eventually: Eventually
) -> None:
    events: list[str] = []
    closing, close = asyncio.Event(), asyncio.Event()

    class Slow:
        async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
            events.append("open")
            return int(await bench.ledger.open_attempt(service, position, owner=owner))

        async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
            closing.set()
            await close.wait()
            await bench.ledger.close_attempt(service, position, owner=owner)
            events.append("closed")

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.ledger, name)

    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker(attempts=Slow(), limits={"let_go_s": 60.0}) as worker:
        await eventually(lambda: bench.begun)
        for taken in (2, 3, 4):  # the second waits for the first, and is revoked as well
            await worker.source.rebalance()
            await closing.wait()
            await eventually(lambda: worker.stats.taken == taken)  # noqa: B023
        close.set()
        await eventually(lambda: len(bench.begun) == 2)
        assert events == ["open", "closed", "open"]
        assert await bench.left_open(0) == 1, "the running one's"
        bench.let(b"0")
        await eventually(lambda: bench.committed() == Committed(1))


async def test_two_revocations_while_an_attempt_is_closed_leave_none_open(bench: Any, eventually: Eventually) -> None:
    closing, close = asyncio.Event(), asyncio.Event()

    class Slow:
        async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
            closing.set()
            await close.wait()
            await bench.ledger.close_attempt(service, position, owner=owner)

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.ledger, name)

    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker(attempts=Slow(), limits={"let_go_s": 60.0}) as worker:
        await eventually(lambda: bench.begun)
        worker.stats.draining = True  # so that it isn't begun anew
        await worker.source.rebalance()
        await closing.wait()
        await eventually(lambda: worker.engine._taker.joined)
        await worker.source.rebalance()
        close.set()
        await eventually(lambda: not worker.stats.under_way)
        assert await bench.left_open(0) == 0


async def test_an_end_after_the_revocation_is_not_committed_by_us(bench: Any, eventually: Eventually) -> None:
    """A handler that swallows its cancellation: what it says is published, but the partition may be another's."""
    told = asyncio.Event()

    async def stubborn(message: Any) -> list[OutgoingRecord]:
        try:
            await told.wait()
        except asyncio.CancelledError:
            await told.wait()
        return []

    bench.send(b"0")
    async with bench.worker(handle=stubborn) as worker:
        await eventually(lambda: worker.stats.under_way)
        worker.stats.draining = True
        await worker.source.rebalance()
        told.set()
        await eventually(lambda: worker.stats.finished)
        await polled(worker, eventually)
        await worker.engine._committer.last()
        assert bench.committed() in (None, Committed(0))


async def test_a_commit_that_still_tries_is_stopped_by_the_revocation(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    async with bench.worker(limits={"revoke_s": 60.0}) as worker:
        real, hanging = worker.source.commit, asyncio.Event()

        async def hangs(commits: Any) -> bool:
            hanging.set()
            await asyncio.Event().wait()
            return True

        worker.source.commit = hangs  # type: ignore[method-assign]
        await hanging.wait()
        worker.source.commit = real  # type: ignore[method-assign]
        await asyncio.wait_for(worker.source.rebalance(), 30)
        assert bench.committed() == Committed(1)


async def test_a_broker_that_is_away_holds_no_revocation_up(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    async with bench.worker(limits={"commit_s": 60.0, "revoke_s": 0.05}) as worker:
        await eventually(lambda: bench.outputs())

        async def hangs(commits: Any) -> bool:
            await asyncio.Event().wait()
            return True

        worker.source.commit = hangs  # type: ignore[method-assign]
        await worker.source.rebalance()
        assert worker.stats.commits_failed == 1


async def test_a_commit_that_fails_as_it_never_should_ends_the_process(bench: Any, eventually: Eventually) -> None:
    async def broken(commits: Any) -> bool:
        raise RuntimeError("a bug")

    bench.send(b"0")
    worker = bench.worker()
    worker.source.commit = broken
    with pytest.raises((ExceptionGroup, RuntimeError)):
        await worker.engine.run(asyncio.Event())
    assert worker.source._listener is None, "it left the group"


async def test_no_commit_begins_while_a_revocations_last_is_sent(bench: Any) -> None:
    class Hangs:
        under_way = most = 0

        async def commit(self, commits: Any) -> bool:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                await asyncio.Event().wait()
            finally:
                self.under_way -= 1
            return True

    source, windows = Hangs(), {TopicPartition("in", 0): Window(Committed(0))}
    windows[TopicPartition("in", 0)].read(0)
    windows[TopicPartition("in", 0)].finish(0)
    limits = Limits(commit_s=0.001, revoke_s=0.2)
    stats = EngineStats()
    committer = Committer(source=source, windows=windows, limits=limits, stats=stats)  # type: ignore[arg-type]
    running = asyncio.create_task(committer.run())
    while not source.under_way:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await committer.last()
    windows.clear()
    assert stats.commits_failed == 1, "it has timed out"
    assert source.most == 1
    for _ in range(10):
        await asyncio.sleep(0)
        assert source.under_way == 0, "nothing goes on past the revocation"
    running.cancel()
    await asyncio.wait({running})


# --- rule 9: the end -------------------------------------------------------------------------------------------------


async def test_a_drain_lets_what_is_under_way_end(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(6))
    bench.hold_back(*names(2))
    async with bench.worker(limits={"cases": 2}) as worker:
        await eventually(lambda: len(bench.begun) == 2)
        worker.stop.set()
        await eventually(lambda: bench.drained)
        assert not worker.engine.health().ready
        assert "draining" in worker.engine.health().why
        bench.let(*names(2))
        await worker.running
    assert bench.drained == 1
    assert bench.begun == names(2), "nothing new is taken"
    assert bench.committed() == Committed(2)


async def test_at_the_deadline_the_rest_is_cancelled(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(3))
    bench.hold_back(b"0")
    async with bench.worker(limits={"drain_s": 0.05}):
        await eventually(lambda: len(bench.outputs()) == 2)
    assert bench.committed().offset == 0
    assert await bench.left_open(0) == 0


async def test_who_refuses_a_new_call_leaves_its_message(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.hold_back(b"0")
    bench.raises[b"0"] = [Draining("no new call")]
    async with bench.worker() as worker:
        await eventually(lambda: bench.begun)
        worker.stop.set()
        await eventually(lambda: bench.drained)
        bench.let(b"0")
    assert bench.committed() in (None, Committed(0))
    assert not bench.outputs()
    assert not bench.dead()
    assert await bench.left_open(0) == 0


async def test_who_refuses_while_nothing_drains_is_asked_again(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.raises[b"0"] = [Draining("no new call")] * 2
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(1))
        assert worker.stats.waited >= 2
    assert bench.outputs() == [b"0"]
    assert not bench.dead()


async def test_it_can_be_stopped_while_it_waits_for_a_broker(bench: Any, eventually: Eventually) -> None:
    bench.broker.away = "not up yet"
    async with bench.worker() as worker:
        await eventually(lambda: worker.stats.waited > 1)
        assert worker.engine.health().live
        assert not worker.engine.health().ready


async def test_it_waits_for_a_broker_at_the_start(bench: Any, eventually: Eventually) -> None:
    bench.broker.away = "not up yet"
    bench.send(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: worker.stats.waited > 1)
        bench.broker.away = None
        await eventually(lambda: bench.committed() == Committed(1))


# --- rule 12: killers ------------------------------------------------------------------------------------------------


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
        assert worker.stats.finished == 5
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
