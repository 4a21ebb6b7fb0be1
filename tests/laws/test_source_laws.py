"""The laws of `Source` and `Sink`: for Kafka in memory, for Kafka itself, and for a Faust app. `-k memory`, `-k kafka`
or `-k faust` picks one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from services.local.servers.kafka import KafkaCluster
from services.runtime.engine.commit_rule import Committed
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import TopicSpec, declare
from tests.laws.source_places import NAMES, PARTITIONS, Heard, Memory, Place, Real

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

Client = Callable[[], Awaitable[KafkaClient]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Kafka is started when it is first asked for."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"))
    async with AsyncExitStack() as stack:

        async def started() -> KafkaClient:
            if not cluster.processes:
                await stack.enter_async_context(cluster)
            return KafkaClient(bootstrap=cluster.bootstrap)

        yield started


@pytest_asyncio.fixture(params=["memory", "kafka", "faust"], loop_scope="module")
async def place(request: pytest.FixtureRequest, client: Client) -> AsyncIterator[Place]:
    if request.param == "memory":
        yield Memory()
        return
    reached, topic = await client(), next(NAMES)
    await declare(reached, [TopicSpec(name=topic, partitions=PARTITIONS, replication=1)])
    async with AsyncExitStack() as stack:
        real = Real(reached, stack, topic, on_faust=request.param == "faust")
        await stack.enter_async_context(real.sink)
        yield real


class Member:
    """A started source and what its listener has heard."""

    def __init__(self, place: Place) -> None:
        self.source = place.source()
        self.heard = Heard()
        self.all = [TopicPartition(place.topic, number) for number in range(PARTITIONS)]

    async def __aenter__(self) -> "Member":
        await self.source.start(self.heard)
        async with asyncio.timeout(30):
            while not self.heard.commits:
                assert await self.source.poll((), limit=1, timeout_s=0.1) == []
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.source.stop()

    async def take(self, count: int, wanted: Collection[TopicPartition] | None = None) -> list[ConsumedRecord]:
        taken: list[ConsumedRecord] = []
        async with asyncio.timeout(30):
            while len(taken) < count:
                taken += await self.source.poll(wanted or self.all, limit=count - len(taken), timeout_s=0.5)
        return taken


def message(place: Place, number: int, key: bytes | None = None) -> OutgoingRecord:
    return OutgoingRecord(place.topic, key or str(number).encode(), str(number).encode(), {"n": b"%d" % number})


def values(messages: list[ConsumedRecord]) -> list[int]:
    return sorted(int(message.value or b"") for message in messages)


async def keys_of_partitions(place: Place) -> list[bytes]:
    """A key for each partition, by trying."""
    await place.sink.publish([message(place, number) for number in range(40)])
    found = {received.partition: received.key or b"" for received in await place.read()}
    return [found[number] for number in range(PARTITIONS)]


async def test_published_records_are_stored_when_publish_returns(place: Place) -> None:
    await place.sink.publish([message(place, number) for number in range(100)])
    there = await place.read()
    assert values(there) == list(range(100))
    assert all(received.headers == {"n": received.value} for received in there)
    await place.sink.publish([message(place, 7), message(place, 7)])
    assert values(await place.read()).count(7) == 3, "equal messages are messages"
    await place.sink.publish([OutgoingRecord(place.topic, b"large", bytes(range(256)) * 8_000, {})])
    assert max(len(received.value or b"") for received in await place.read()) == 2_048_000


async def test_one_key_one_partition_one_order(place: Place) -> None:
    for first in range(0, 60, 20):
        await place.sink.publish([message(place, number, key=b"one") for number in range(first, first + 20)])
    there = await place.read()
    assert len({received.partition for received in there}) == 1
    assert [int(received.value or b"") for received in there] == list(range(60))
    assert [received.offset for received in there] == list(range(60))


async def test_a_group_without_a_commit_begins_at_the_earliest(place: Place) -> None:
    await place.sink.publish([message(place, number) for number in range(30)])
    source, heard = place.source(), Heard()
    await source.start(heard)
    everything = [TopicPartition(place.topic, number) for number in range(PARTITIONS)]
    taken: list[ConsumedRecord] = []
    async with asyncio.timeout(30):
        while len(taken) < 30:
            found = await source.poll(everything, limit=7, timeout_s=0.2)
            assert len(found) <= 7
            assert heard.commits or not found, "reported before any message"
            taken += found
    await source.stop()
    assert heard.commits == dict.fromkeys(everything)
    assert values(taken) == list(range(30))
    for partition in range(PARTITIONS):
        offsets = [received.offset for received in taken if received.partition == partition]
        assert offsets == list(range(len(offsets)))


async def test_unwanted_partitions_wait_and_lose_nothing(place: Place) -> None:
    one, other = await keys_of_partitions(place)
    async with Member(place) as member:
        await member.take(40)
        await place.sink.publish([message(place, 100 + n, key=(one, other)[n % 2]) for n in range(20)])
        assert await member.source.poll((), limit=100, timeout_s=0.2) == []
        first = await member.take(10, member.all[:1])
        assert {received.partition for received in first} == {0}
        assert await member.source.poll(member.all[:1], limit=100, timeout_s=0.2) == []
        rest = await member.take(10)
        assert values(first + rest) == list(range(100, 120))


async def test_a_long_backlog_keeps_no_other_partition_waiting(place: Place) -> None:
    one, other = await keys_of_partitions(place)
    async with Member(place) as member:
        await member.take(40)
        await place.sink.publish([message(place, 100, key=one) for _ in range(300)])
        await place.sink.publish([message(place, 200, key=other) for _ in range(10)])
        taken: list[int] = []
        while taken.count(200) < 10:
            taken += values(await member.take(10))
            await asyncio.sleep(0.1)
        assert taken.count(100) < 300


async def test_a_cancelled_poll_loses_nothing(place: Place) -> None:
    async with Member(place) as member:
        for number in range(25):
            polling = asyncio.create_task(member.source.poll(member.all, limit=10, timeout_s=5))
            await asyncio.sleep(0.01)
            publishing = asyncio.create_task(place.sink.publish([message(place, number)]))
            await asyncio.sleep(0.001 * number)
            polling.cancel()
            await asyncio.wait({polling})
            await publishing
            if not polling.cancelled():
                assert values(polling.result()) == [number]
            else:
                assert values(await member.take(1)) == [number]


async def test_a_commit_and_its_metadata_are_there_for_the_next_owner(place: Place) -> None:
    await place.sink.publish([message(place, number, key=b"one") for number in range(10)])
    async with Member(place) as member:
        [partition] = {TopicPartition(place.topic, received.partition) for received in await member.take(10)}
        assert await member.source.commit({partition: Committed(3, "rm1:AgE")})
        assert await member.source.commit({partition: Committed(4, "x" * 4_096)})
    async with Member(place) as member:
        assert member.heard.commits[partition] == Committed(4, "x" * 4_096)
        assert [received.offset for received in await member.take(6)] == list(range(4, 10))


async def test_a_revocation_is_the_last_moment_for_a_commit(place: Place) -> None:
    await place.sink.publish([message(place, number, key=b"one") for number in range(10)])
    async with Member(place) as member:
        [partition] = {TopicPartition(place.topic, received.partition) for received in await member.take(10)}
        heard = member.heard
        heard.source, heard.last = member.source, {partition: Committed(5, "rm1:AgE")}
        before = member.all
        await place.disturb(member.source)
        async with asyncio.timeout(30):
            while heard.late is None:  # noqa: ASYNC110 -- in aiokafka's own task
                await asyncio.sleep(0.01)
        assert heard.revoked_partitions == set(before), "eager: everything"
        assert heard.last_taken is True
        assert await heard.late is False, "between revocation and assignment nothing is ours"
        heard.commits = {}
        async with asyncio.timeout(30):
            while not heard.commits:
                await member.source.poll((), limit=1, timeout_s=0.1)
        assert heard.commits.get(partition, Committed(5, "rm1:AgE")) == Committed(5, "rm1:AgE")


async def test_lag_is_what_was_not_taken(place: Place) -> None:
    async with Member(place) as member:
        assert await member.source.reachable()
        await place.sink.publish([message(place, number) for number in range(10)])
        assert sum((await member.source.lag()).values()) == 10
        await member.take(4)
        assert sum((await member.source.lag()).values()) == 6
        await member.take(6)
        assert set((await member.source.lag()).values()) == {0}


async def test_a_source_may_be_stopped_at_any_time(place: Place) -> None:
    source = place.source()
    await source.stop()
    await source.start(Heard())
    await source.stop()
    await source.stop()
