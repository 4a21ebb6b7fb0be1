"""The engine with Kafka and the ledger in memory: revocations (rule 5)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.core.messages import OutgoingRecord, Position, TopicPartition
from services.runtime.engine.commit_rule import Committed, Window
from services.runtime.engine.committer import Committer
from services.runtime.engine.counters import Counters
from services.runtime.engine.limits import Limits
from services.runtime.kafka.memory import MemoryBroker, MemorySource
from tests.unit.runtime.conftest import names, polled

Eventually = Callable[..., Awaitable[None]]


async def test_a_revocation_commits_and_releases_and_restarts(bench: Any, eventually: Eventually) -> None:
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
    assert worker.counters.rebalances == 1
    assert worker.counters.skipped == 2
    assert bench.committed() == Committed(4)


async def test_revoked_records_are_not_published_and_leave_no_attempt(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.hold_back(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: bench.begun)
        assert await bench.left_open(0) == 1
        worker.engine._draining.set()  # so that it isn't begun again
        await worker.source.rebalance()
        await eventually(lambda: not worker.engine.state().in_flight)
        assert await bench.left_open(0) == 0
        bench.let(b"0")
        await polled(worker, eventually)
        assert not bench.outputs()


async def test_a_record_restarts_only_after_its_attempt_is_closed(bench: Any, eventually: Eventually) -> None:
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
    async with bench.worker(attempts=Slow(), limits={"close_s": 60.0}) as worker:
        await eventually(lambda: bench.begun)
        for taken in (2, 3, 4):  # the second waits for the first, and is revoked as well
            await worker.source.rebalance()
            await closing.wait()
            await eventually(lambda: worker.counters.taken == taken)  # noqa: B023
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
    async with bench.worker(attempts=Slow(), limits={"close_s": 60.0}) as worker:
        await eventually(lambda: bench.begun)
        worker.engine._draining.set()  # so that it isn't begun again
        await worker.source.rebalance()
        await closing.wait()
        await eventually(lambda: worker.engine._poller.joined)
        await worker.source.rebalance()
        close.set()
        await eventually(lambda: not worker.engine.state().in_flight)
        assert await bench.left_open(0) == 0


async def test_an_end_after_the_revocation_is_not_committed_by_us(bench: Any, eventually: Eventually) -> None:
    """A handler that swallows its cancellation: what it says is published, but the partition may be another's."""
    released = asyncio.Event()

    async def stubborn(message: Any) -> list[OutgoingRecord]:
        try:
            await released.wait()
        except asyncio.CancelledError:
            await released.wait()
        return []

    bench.send(b"0")
    async with bench.worker(handle=stubborn) as worker:
        await eventually(lambda: worker.engine.state().in_flight)
        worker.engine._draining.set()
        await worker.source.rebalance()
        released.set()
        await eventually(lambda: worker.counters.finished)
        await polled(worker, eventually)
        await worker.engine._committer.last()
        assert bench.committed() in (None, Committed(0))


async def test_a_commit_that_still_tries_is_stopped_by_the_revocation(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    async with bench.worker() as worker:
        real, hanging = worker.source.commit, asyncio.Event()

        async def hangs(commits: Any) -> bool:
            hanging.set()
            await asyncio.Event().wait()
            return True

        worker.source.commit = hangs
        await hanging.wait()
        worker.source.commit = real
        await asyncio.wait_for(worker.source.rebalance(), 1)
        assert bench.committed() == Committed(1)


async def test_a_broker_that_is_away_holds_no_revocation_up(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    async with bench.worker(limits={"commit_s": 60.0, "revoke_s": 0.05}) as worker:
        await eventually(lambda: bench.outputs())

        async def hangs(commits: Any) -> bool:
            await asyncio.Event().wait()
            return True

        worker.source.commit = hangs
        await asyncio.wait_for(worker.source.rebalance(), 1)
        assert worker.counters.commits_failed == 1


async def test_a_commit_that_fails_as_it_never_should_ends_the_process(bench: Any, eventually: Eventually) -> None:
    async def broken(commits: Any) -> bool:
        raise RuntimeError("a bug")

    bench.send(b"0")
    worker = bench.worker()
    worker.source.commit = broken
    with pytest.raises((ExceptionGroup, RuntimeError)):
        async with asyncio.timeout(5):
            await worker.engine.run(asyncio.Event())
    assert worker.source._listener is None, "it left the group"


async def test_no_commit_begins_while_a_revocations_last_is_sent(bench: Any) -> None:
    class Hangs(MemorySource):
        under_way = most = 0

        async def commit(self, commits: Any) -> bool:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                await asyncio.Event().wait()
            finally:
                self.under_way -= 1
            return True

    source = Hangs(MemoryBroker(), topics=["in"], group="group")
    windows = {TopicPartition("in", 0): Window(Committed(0))}
    windows[TopicPartition("in", 0)].read(0)
    windows[TopicPartition("in", 0)].finish(0)
    limits = Limits(commit_s=0.001, revoke_s=0.2)
    counters = Counters()
    committer = Committer(source=source, windows=windows, limits=limits, counters=counters)
    running = asyncio.create_task(committer.run())
    while not source.under_way:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await committer.last()
    windows.clear()
    assert counters.commits_failed == 1, "it has timed out"
    assert source.most == 1
    for _ in range(10):
        await asyncio.sleep(0)
        assert source.under_way == 0, "nothing continues past the revocation"
    running.cancel()
    await asyncio.wait({running})
