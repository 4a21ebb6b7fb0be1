"""The engine over `FaustSource`, over a Faust that delivers what a test says: whatever it skips, repeats or takes away,
nothing is committed that has not been processed."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock

import pytest

from services.core.holds import Holds
from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from services.ledger.memory.attempts import MemoryAttempts
from services.ledger.memory.circuits import MemoryCircuits
from services.ledger.memory.server import MemoryServer
from services.runtime.engine.engine import Engine
from services.runtime.engine.limits import Limits
from services.runtime.engine.stall import Stalled
from services.runtime.faust import source as faust_source
from services.runtime.faust.source import FaustSource
from services.runtime.kafka.client import KafkaClient
from tests.unit.runtime.conftest import QUICK, eventually
from tests.unit.runtime.faust_fake import IN, FakeFaust

CLIENT = KafkaClient(bootstrap="nowhere:1")


class Router:
    """An engine over `FaustSource` that notes what it processes, one record after the other."""

    def __init__(self, **limits: Any) -> None:
        self.faust = FakeFaust()
        self.ledger = MemoryAttempts(MemoryServer())
        self.processed: list[int] = []
        self.published: list[tuple[str, bytes]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.stop = asyncio.Event()
        self.now = 1_000.0
        self.engine = Engine(
            service="router",
            owner="me",
            source=FaustSource(self.faust, client=CLIENT, topics=["in"]),  # type: ignore[arg-type]
            sink=self,
            handle=self.handle,
            attempts=self.ledger,
            circuits=MemoryCircuits(MemoryServer()),
            holds=Holds(),
            dead_topic="router-dead",
            limits=Limits(**{**QUICK, "in_order": True, **limits}),
            clock=lambda: self.now,
        )

    async def handle(self, record: ConsumedRecord) -> list[OutgoingRecord]:
        self.processed.append(record.offset)
        await self.go.wait()
        return [OutgoingRecord("out", record.key or b"", record.value or b"", {})]

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        self.published += [(message.topic, message.value) for message in messages]

    @property
    def committed(self) -> int | None:
        commit = self.faust.kafka.committed.get(IN)
        return None if commit is None else commit[0]

    @asynccontextmanager
    async def running(self, *, ready: bool = True) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.create_task(self.engine.run(self.stop))
        try:
            if ready:
                await eventually(lambda: self.engine.health().ready)
            yield task
        finally:
            self.stop.set()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    """Whether a new connection reaches the broker."""
    answer = AsyncMock(return_value=True)
    monkeypatch.setattr(faust_source, "reachable", answer)
    monkeypatch.setattr(faust_source, "ANSWER_S", 0.05)
    return answer


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> dict[int, bytes]:
    """What Kafka has where Faust skipped it, two records at a time: value by offset."""
    there: dict[int, bytes] = {}

    async def read_range(client: KafkaClient, partition: TopicPartition, begin: int, end: int) -> list[ConsumedRecord]:
        found = [
            ConsumedRecord(*partition, at, b"k", value, {}) for at, value in sorted(there.items()) if begin <= at < end
        ]
        return found[:2]

    monkeypatch.setattr(faust_source, "read_range", read_range)
    return there


async def test_a_record_is_committed_once_it_is_published() -> None:
    router = Router()
    router.go.clear()
    async with router.running():
        router.faust.deliver(0, 1)
        await eventually(lambda: router.processed == [0])
        await eventually(lambda: router.committed in (None, 0))
        router.go.set()
        await eventually(lambda: router.committed == 2)
    assert router.published == [("out", b"0"), ("out", b"1")]
    assert router.engine.state().begun_written_ms == 1_779_019_200_500


async def test_offsets_that_faust_skips_are_processed_in_order(kafka: dict[int, bytes]) -> None:
    router = Router()
    router.faust.kafka.committed[IN] = (5, "")
    kafka.update({6: b"six", 8: b"eight", 9: b"nine"})  # 7 and 10 are transaction markers
    async with router.running():
        router.faust.deliver(5, 11, 12)
        await eventually(lambda: router.committed == 13)
    assert router.processed == [5, 6, 8, 9, 11, 12]
    assert router.engine.counters.absent == 2


async def test_nothing_behind_a_gap_is_committed_before_it_is_filled(kafka: dict[int, bytes]) -> None:
    router = Router()
    router.faust.kafka.committed[IN] = (5, "")
    kafka[5] = b"five"
    router.go.clear()
    async with router.running():
        router.faust.deliver(6)
        await eventually(lambda: router.processed == [5])
        assert router.committed == 5
        router.go.set()
        await eventually(lambda: router.committed == 7)


async def test_a_partition_without_a_commit_begins_at_its_earliest_record(kafka: dict[int, bytes]) -> None:
    router = Router()
    router.faust.kafka.begins[IN] = 2
    kafka.update({0: b"deleted", 2: b"two"})
    async with router.running():
        router.faust.deliver(3)
        await eventually(lambda: router.committed == 4)
    assert router.processed == [2, 3]


async def test_repeats_and_an_earlier_generation_s_events_are_dropped() -> None:
    router = Router()
    router.faust.kafka.committed[IN] = (1, "")
    async with router.running():
        router.faust.deliver(4, generation=0)
        router.faust.deliver(0, 1, 1, 2)
        await eventually(lambda: router.committed == 3)
    assert router.processed == [1, 2]


async def test_a_record_in_flight_at_a_rebalance_is_not_committed_and_comes_again() -> None:
    router = Router()
    router.go.clear()
    async with router.running():
        router.faust.deliver(0)
        await eventually(lambda: router.processed == [0])
        await router.faust.rebalance()
        assert router.committed in (None, 0)
        router.go.set()
        router.faust.deliver(0, 1)
        await eventually(lambda: router.committed == 2)
    assert router.processed == [0, 0, 1]
    assert router.engine.counters.rebalances == 1


async def test_a_full_buffer_is_asked_for_no_more() -> None:
    router = Router()
    router.go.clear()
    async with router.running():
        router.faust.deliver(*range(faust_source.ROOM))
        await eventually(lambda: router.processed == [0])
        assert router.faust.member.has_room(IN), "one was taken"
        router.faust.deliver(faust_source.ROOM)
        await eventually(lambda: not router.faust.member.has_room(IN))
        router.go.set()
        await eventually(lambda: router.committed == faust_source.ROOM + 1)
        assert router.faust.member.has_room(IN)


async def test_a_faust_that_ends_by_itself_ends_the_process() -> None:
    router = Router()
    async with router.running() as run:
        router.faust.stopped.set()
        await ends_stalled(run, "by itself")


@pytest.mark.parametrize("name", ["fetcher", "coordinator"])
async def test_a_client_whose_background_task_has_ended_ends_the_process(name: str) -> None:
    router = Router()
    async with router.running() as run:
        kafka = router.faust.kafka
        (kafka._fetcher._fetch_task if name == "fetcher" else kafka._coordination_task).cancel()
        await ends_stalled(run, f"{name} has ended")


async def test_lag_without_movement_ends_the_process() -> None:
    """What Faust loses at the end of a partition: nothing behind it shows the gap."""
    router = Router(still_s=15.0)
    async with router.running() as run:
        router.faust.kafka.ends[IN] = 3
        await eventually(lambda: router.engine.state().lag == {IN: 3})
        router.now += 15
        await ends_stalled(run, "nothing fetched")


@pytest.mark.parametrize("reached", [True, False])
async def test_no_answer_ends_the_process_if_others_reach_the_broker(reached: bool, there: AsyncMock) -> None:
    router = Router(wedged_s=60.0)
    async with router.running() as run:
        router.faust.kafka.answers.clear()
        there.return_value = reached
        asked = there.await_count
        await eventually(lambda: there.await_count > asked + 1)
        router.now += 60
        assert "the broker doesn't answer" in router.engine.health().why
        if reached:
            await ends_stalled(run, "the broker is there")
        else:
            router.faust.kafka.answers.set()
            await eventually(lambda: router.engine.health().ready)
            assert not run.done()


async def test_a_broker_that_is_away_at_the_start_is_waited_for(there: AsyncMock) -> None:
    there.side_effect = itertools.chain([False], itertools.repeat(True))
    router = Router()
    async with router.running(ready=False):
        await eventually(lambda: router.engine.counters.waits["broker"])
        assert not router.faust.started
        assert router.engine.health().live
        assert not router.engine.health().ready
        await eventually(lambda: router.engine.health().ready)


async def ends_stalled(run: "asyncio.Task[None]", why: str) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(run, 5)
    assert raised.group_contains(Stalled, match=why)
