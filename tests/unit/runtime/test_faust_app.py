"""`InOrder` over a Faust that is told what to deliver: whatever it skips, repeats or takes away, nothing is
acknowledged that has not been carried."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from services.core.errors import LedgerAway
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.ledger.memory.attempts import MemoryAttempts
from services.ledger.memory.server import MemoryServer
from services.runtime.engine.circuit import CircuitPolicy
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import TopicPartition
from services.runtime.engine.stall import Stalled
from services.runtime.faust import source as faust_app
from services.runtime.faust import watch as faust_watch
from services.runtime.faust.client import build
from services.runtime.faust.in_order import Places
from services.runtime.faust.source import InOrder
from services.runtime.kafka.client import KafkaClient

IN = TopicPartition("in", 0)


class FakeFaust:
    """What `InOrder` uses of a faust.App."""

    def __init__(self) -> None:
        self.consumer = self
        self.consumer_generation_id = 1
        self.rebalancing = False
        self._assignment: set[TopicPartition] | None = {IN}
        self._thread: Any = None
        self.refused = False
        self.started = False
        self._committed_offset: dict[Any, int | None] = {}
        self.earliest: dict[Any, int] = {IN: 0}
        self.ends: dict[Any, int] = {IN: 0}
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0
        self.acked: list[int] = []
        self.delivered: asyncio.Queue[Any] = asyncio.Queue()
        self.stopped = asyncio.Event()
        self._agents: list[Callable[[Any], Awaitable[None]]] = []
        self._running: list[asyncio.Task[None]] = []

    def topic(self, name: str, **_: Any) -> str:
        return name

    def agent(self, topic: str, **_: Any) -> Callable[[Any], None]:
        return self._agents.append

    async def start(self) -> None:
        self.started = True
        self._running = [asyncio.ensure_future(agent(self)) for agent in self._agents]

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def wait_until_stopped(self) -> None:
        await self.stopped.wait()

    def noack(self) -> "FakeFaust":
        return self

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.delivered.get()

    def assignment(self) -> set[TopicPartition]:
        return self._assignment or set()

    async def highwaters(self, *partitions: Any) -> Mapping[Any, int]:
        self.asked += 1
        await self.answers.wait()
        return self.ends

    async def earliest_offsets(self, *partitions: Any) -> Mapping[Any, int]:
        return self.earliest

    def deliver(self, *offsets: int, generation: int | None = None) -> None:
        for offset in offsets:
            message = SimpleNamespace(
                topic=IN.topic,
                partition=IN.partition,
                offset=offset,
                key=b"k",
                value=str(offset).encode(),
                headers=[],
                timestamp=1_779_019_200.5,
                generation_id=self.consumer_generation_id if generation is None else generation,
            )
            self.delivered.put_nowait(SimpleNamespace(message=message, ack=partial(self.acked.append, offset)))


class Router:
    """An `InOrder` that notes what it carries."""

    def __init__(self, *, drain_s: float = 5.0, **changes: Any) -> None:
        self.faust = FakeFaust()
        self.server = MemoryServer()
        self.ledger = MemoryAttempts(self.server)
        self.carried: list[int] = []
        self.published: list[tuple[str, bytes]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.stop = asyncio.Event()
        self.worker = InOrder(
            self.faust,  # type: ignore[arg-type]
            client=KafkaClient(bootstrap="nowhere:1"),
            service="router",
            owner="me",
            handlers={"in": lambda message: self.handle(message)},
            sink=self,
            attempts=self.ledger,
            holds=Holds(),
            dead_topic="router-dead",
            limits=Limits(drain_s=drain_s, retry_s=0.0),
            **changes,
        )

    async def handle(self, message: ConsumedRecord) -> list[OutgoingRecord]:
        self.carried.append(message.offset)
        await self.go.wait()
        return [OutgoingRecord("out", message.key or b"", message.value or b"", {})]

    async def publish(self, messages: list[OutgoingRecord]) -> None:
        self.published += [(message.topic, message.value) for message in messages]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.create_task(self.worker.run(self.stop))
        try:
            yield task
        finally:
            self.stop.set()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faust_app, "LOOK_S", 0.01)
    monkeypatch.setattr(faust_watch, "ANSWER_S", 0.05)
    for module in (faust_app, faust_watch):
        monkeypatch.setattr(module, "reachable", AsyncMock(return_value=True))


@pytest.fixture
def gaps(monkeypatch: pytest.MonkeyPatch) -> dict[int, bytes]:
    """What reading a gap finds, two at a time: value by offset."""
    there: dict[int, bytes] = {}

    async def between(client: KafkaClient, partition: TopicPartition, begin: int, end: int) -> list[ConsumedRecord]:
        found = [
            ConsumedRecord(*partition, at, b"k", value, {}) for at, value in sorted(there.items()) if begin <= at < end
        ]
        return found[:2]

    monkeypatch.setattr(faust_app, "between", between)
    return there


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_each_is_acknowledged_once_it_is_published() -> None:
    router = Router()
    router.go.clear()
    async with router.running():
        router.faust.deliver(0, 1)
        await until(lambda: router.carried == [0])
        assert router.faust.acked == []
        router.go.set()
        await until(lambda: router.faust.acked == [0, 1])
    assert router.published == [("out", b"0"), ("out", b"1")]
    assert router.worker.stats.taken == router.worker.stats.finished == 2


async def test_what_faust_skips_is_carried_before_what_follows(gaps: dict[int, bytes]) -> None:
    router = Router()
    router.faust._committed_offset[IN] = 5
    gaps.update({6: b"six", 8: b"eight", 9: b"nine"})  # 7 and 10 are transactions' markers
    async with router.running():
        router.faust.deliver(5, 11, 12)
        await until(lambda: router.faust.acked == [5, 11, 12])
    assert router.carried == [5, 6, 8, 9, 11, 12]


async def test_a_gap_is_left_alone_once_the_partition_is_handed_out_anew(gaps: dict[int, bytes]) -> None:
    router = Router()
    router.faust._committed_offset[IN] = 5
    gaps.update({5: b"five", 6: b"six", 7: b"seven"})
    router.go.clear()
    async with router.running():
        router.faust.deliver(8)
        await until(lambda: router.carried == [5])
        router.faust.consumer_generation_id = 2
        router.go.set()
        router.faust.deliver(5)
        await until(lambda: router.faust.acked == [5])
    assert router.carried == [5, 5]


async def test_nothing_behind_a_gap_is_acknowledged_before_it_is_closed(gaps: dict[int, bytes]) -> None:
    router = Router()
    router.faust._committed_offset[IN] = 5
    gaps[5] = b"five"
    router.go.clear()
    async with router.running():
        router.faust.deliver(6)
        await until(lambda: router.carried == [5])
        assert router.faust.acked == []
        router.go.set()
        await until(lambda: router.faust.acked == [6])


async def test_a_partition_without_a_commit_begins_at_its_earliest_message(gaps: dict[int, bytes]) -> None:
    router = Router()
    router.faust.earliest[IN] = 2
    gaps.update({0: b"deleted", 2: b"two"})
    async with router.running():
        router.faust.deliver(3)
        await until(lambda: router.faust.acked == [3])
    assert router.carried == [2, 3]


async def test_what_has_ended_is_not_carried_again() -> None:
    router = Router()
    router.faust._committed_offset[IN] = 1
    async with router.running():
        router.faust.deliver(0, 1, 1, 2)
        await until(lambda: router.faust.acked == [1, 2])
    assert router.carried == [1, 2]


async def test_an_event_of_an_earlier_generation_is_left_alone() -> None:
    router = Router()
    async with router.running():
        router.faust.consumer_generation_id = 2
        router.faust.deliver(0, generation=1)
        router.faust.deliver(0)
        await until(lambda: router.faust.acked == [0])
    assert router.carried == [0]


async def test_what_is_at_hand_in_a_rebalance_is_not_acknowledged_and_comes_again() -> None:
    router = Router()
    router.go.clear()
    async with router.running():
        router.faust.deliver(0)
        await until(lambda: router.carried == [0])
        router.faust.consumer_generation_id = 2
        router.go.set()
        await until(lambda: len(router.published) == 1)
        router.faust.deliver(0, 1)
        await until(lambda: router.faust.acked == [0, 1])
    assert router.carried == [0, 0, 1]


async def test_a_dead_letter_is_acknowledged() -> None:
    router = Router()

    async def defect(message: ConsumedRecord) -> list[OutgoingRecord]:
        raise ZeroDivisionError

    router.handle = defect  # type: ignore[method-assign]
    async with router.running():
        router.faust.deliver(0)
        await until(lambda: router.faust.acked == [0])
    assert router.published == [("router-dead", b"0")]
    assert router.worker.stats.dead["defect"] == 1
    assert router.worker.stats.begun_written_ms == 1_779_019_200_500


async def test_the_open_circuit_holds_all_but_its_probe() -> None:
    clock = Clock()
    router = Router(policy=CircuitPolicy(probe_s=30.0), clock=clock)
    await router.ledger.set_circuit("router", "a burst")
    async with router.running():
        router.faust.deliver(0, 1)
        await until(lambda: router.worker.stats.circuit_open)
        await asyncio.sleep(0.05)
        assert router.carried == []
        clock.now += 30
        await until(lambda: router.faust.acked == [0, 1])
        await until(lambda: not router.worker.stats.circuit_open)
    assert await router.ledger.circuit("router") is None


async def test_nothing_is_taken_before_the_ledger_was_asked() -> None:
    router = Router()
    router.server.away = "stopped"
    async with router.running():
        router.faust.deliver(0)
        await asyncio.sleep(0.05)
        assert router.carried == []
        router.server.away = None
        await until(lambda: router.faust.acked == [0])


async def test_a_drain_ends_what_is_at_hand_and_takes_nothing_new() -> None:
    router = Router()
    router.go.clear()
    async with router.running() as run:
        router.faust.deliver(0, 1)
        await until(lambda: router.carried == [0])
        router.stop.set()
        await asyncio.sleep(0.05)
        assert not run.done()
        router.go.set()
        await run
    assert router.faust.acked == router.carried == [0]


async def test_a_drain_leaves_at_the_deadline_what_is_held() -> None:
    router = Router(drain_s=0.05)

    async with router.running() as run:
        router.go.clear()
        router.faust.deliver(0)
        await until(lambda: router.carried == [0])
        router.stop.set()
        await run
    assert router.faust.acked == []


async def test_what_should_never_happen_ends_the_process_unacknowledged() -> None:
    router = Router()

    async def publish(messages: list[OutgoingRecord]) -> None:
        raise RuntimeError("not a trouble")

    router.publish = publish  # type: ignore[method-assign]
    async with router.running() as run:
        router.faust.deliver(0, 1)
        with pytest.raises(RuntimeError, match="not a trouble"):
            await run
    assert router.faust.acked == []


async def test_a_faust_that_ends_by_itself_ends_the_process() -> None:
    router = Router()
    async with router.running() as run:
        router.faust.stopped.set()
        with pytest.raises(Stalled, match="by itself"):
            await run


async def test_lag_without_movement_ends_the_process() -> None:
    clock = Clock()
    router = Router(clock=clock)
    router.faust.ends[IN] = 3
    async with router.running() as run:
        await until(lambda: router.faust.asked > 1)
        clock.now += 15
        with pytest.raises(Stalled, match="3 messages wait"):
            await run


async def test_a_broker_that_is_away_at_the_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faust_app, "reachable", AsyncMock(side_effect=[False, True]))
    router = Router()
    router.faust.deliver(0)
    async with router.running():
        await until(lambda: router.worker.stats.waited)
        assert not router.faust.started
        assert router.worker.health().live
        assert not router.worker.health().ready
        await until(lambda: router.faust.acked == [0])


async def test_it_can_be_told_to_go_while_it_waits_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faust_app, "reachable", AsyncMock(return_value=False))
    router = Router()
    async with router.running() as run:
        await until(lambda: router.worker.stats.waited)
        router.stop.set()
        await run
    assert not router.faust.started


async def test_a_client_whose_background_task_has_ended_ends_the_process() -> None:
    router = Router()
    ended = asyncio.get_running_loop().create_future()
    ended.cancel()
    router.faust._thread = SimpleNamespace(
        _consumer=SimpleNamespace(
            _fetcher=SimpleNamespace(_fetch_task=ended), _coordinator=SimpleNamespace(_coordination_task=ended)
        )
    )
    async with router.running() as run:
        with pytest.raises(Stalled, match="fetcher has ended"):
            await run


async def test_a_member_whose_commit_was_refused_and_who_is_not_assigned_anew_ends_the_process() -> None:
    clock = Clock()
    router = Router(clock=clock)
    async with router.running() as run:
        await until(lambda: router.worker.health().ready)
        router.faust.refused = True
        asked = router.faust.asked
        await until(lambda: router.faust.asked > asked + 1)
        clock.now += 120
        with pytest.raises(Stalled, match="commit"):
            await run


async def test_a_share_of_none_is_an_assignment() -> None:
    """More workers than partitions: it is ready to take over."""
    router = Router()
    router.faust._assignment = set()
    async with router.running():
        await until(lambda: router.worker.health().ready)


@pytest.mark.parametrize("there", [True, False])
async def test_a_rebalance_that_never_ends_ends_the_process_if_the_broker_is_there(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faust_watch, "reachable", AsyncMock(return_value=there))
    clock = Clock()
    router = Router(clock=clock)
    router.faust.rebalancing = True
    async with router.running() as run:
        await until(lambda: router.faust.asked > 1)
        assert "no assignment" in router.worker.health().why
        clock.now += 120
        if there:
            with pytest.raises(Stalled, match="no assignment"):
                await run
        else:
            await asyncio.sleep(0.1)
            assert not run.done()


async def test_a_broker_that_is_away_is_asked_once_at_a_time_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faust_watch, "reachable", AsyncMock(return_value=False))
    clock = Clock()
    router = Router(clock=clock)
    async with router.running() as run:
        await until(lambda: router.worker.health().ready)
        router.faust.answers.clear()
        asked = router.faust.asked
        clock.now += 60
        await asyncio.sleep(0.3)
        assert router.faust.asked <= asked + 1
        assert "the broker doesn't answer" in router.worker.health().why
        router.faust.answers.set()
        await until(lambda: router.worker.health().ready)
        assert not run.done()


async def test_a_ledger_that_is_away_is_waited_for_with_the_message_held() -> None:
    router = Router()
    handle, away = router.handle, ["stopped", "stopped"]

    async def asks_the_ledger(message: ConsumedRecord) -> list[OutgoingRecord]:
        if away:
            raise LedgerAway(away.pop())
        return await handle(message)

    router.handle = asks_the_ledger  # type: ignore[method-assign]
    async with router.running():
        router.faust.deliver(0)
        await until(lambda: router.faust.acked == [0])
    assert router.published == [("out", b"0")]
    assert router.worker.stats.waited == 2


async def test_what_was_carried_in_fausts_stead_is_committed_too() -> None:
    """Faust knows nothing of it: its own would wait for it, and never commit the partition again."""
    consumer: Any = build("router", KafkaClient(bootstrap="nowhere:1")).consumer
    consumer._committed_offset[IN] = 33
    consumer._acked[IN] += [37, 38]
    assert consumer._filter_committable_offsets([IN]) == {IN: 39}
    assert consumer._filter_committable_offsets([IN]) == {}
    consumer._acked[IN] += [39]
    assert consumer._filter_committable_offsets([IN]) == {IN: 40}
    consumer._thread.thread_loop.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_places() -> None:
    places = Places()
    assert places.of(IN, 1) is None
    place = places.begin(IN, 1, 7)
    assert not places.finished(IN, 1, 6), "it had ended before"
    assert places.finished(IN, 1, 7)
    assert place.next == 8
    assert not places.finished(IN, 2, 8), "it was handed out anew"
    assert places.of(IN, 2) is None
    assert places.begin(IN, 2, 3) is places.of(IN, 2)
    assert not places.finished(IN, 1, 8), "of an earlier generation"
