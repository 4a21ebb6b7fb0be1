"""The sink's failures, topics, readers and offset gaps, on Apache Kafka itself."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import aiokafka
import pytest
import pytest_asyncio

from services.core.errors import BrokerAway, Dead
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.ledger.memory.attempts import MemoryAttempts
from services.ledger.memory.circuits import MemoryCircuits
from services.ledger.memory.server import MemoryServer
from services.local.servers.kafka import KafkaCluster
from services.runtime.engine.engine import Engine
from services.runtime.engine.limits import Limits
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import (
    Difference,
    TopicRefused,
    TopicSpec,
    declare,
    describe,
    offsets_expire,
)
from services.runtime.kafka.membership import GroupTimes
from services.runtime.kafka.reader import follow_topic, read_topic
from services.runtime.kafka.sink import KafkaSink
from services.runtime.kafka.source import KafkaSource

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

NAMES = (f"edge-{number}" for number in itertools.count())


@pytest_asyncio.fixture(loop_scope="module")
async def client(kafka: KafkaCluster) -> KafkaClient:
    return KafkaClient(bootstrap=kafka.bootstrap)


async def a_topic(client: KafkaClient, partitions: int = 1, *, config: dict[str, str] | None = None) -> str:
    name = next(NAMES)
    assert (
        await declare(client, [TopicSpec(name=name, partitions=partitions, replication=1, config=config or {})]) == []
    )
    return name


async def values(client: KafkaClient, topic: str) -> list[bytes | None]:
    return [message.value async for message in read_topic(client, topic)]


async def test_topics_are_declared_once_and_differences_are_reported(client: KafkaClient) -> None:
    spec = TopicSpec(name=next(NAMES), partitions=2, replication=1, config={"retention.ms": "1000"})
    assert await declare(client, [spec]) == []
    assert await declare(client, [spec]) == []
    other = TopicSpec(name=spec.name, partitions=3, replication=1, config={"retention.ms": "2000"})
    assert await declare(client, [other]) == [
        Difference(spec.name, "partitions", "3", "2"),
        Difference(spec.name, "retention.ms", "2000", "1000"),
    ]
    found = (await describe(client, [spec.name, "no-such-topic"]))[spec.name]
    assert (found.partitions, found.replication, found.config["retention.ms"]) == (2, 1, "1000")
    with pytest.raises(TopicRefused, match="InvalidReplicationFactorError"):
        await declare(client, [TopicSpec(name=next(NAMES), partitions=1, replication=2)])


async def test_messages_that_outlive_offsets_are_reported(client: KafkaClient) -> None:
    name, week_ms = next(NAMES), 7 * 24 * 3600 * 1000
    (found,) = await offsets_expire(
        client,
        [
            TopicSpec(name=name, partitions=1, replication=1, config={"retention.ms": str(1000 * week_ms)}),
            TopicSpec(name=next(NAMES), partitions=1, replication=1, config={"retention.ms": "60000"}),
            TopicSpec(name=next(NAMES), partitions=1, replication=1, config={"cleanup.policy": "compact"}),
        ],
    )
    assert (found.topic, found.what, found.declared) == (
        name,
        "offsets.retention.minutes",
        str(1000 * week_ms // 60_000),
    )
    assert 0 < int(found.found) < int(found.declared)


async def test_declared_by_two_at_once(client: KafkaClient) -> None:
    spec = TopicSpec(name=next(NAMES), partitions=1, replication=1)
    assert await asyncio.gather(*(declare(client, [spec]) for _ in range(4))) == [[], [], [], []]


async def test_a_topic_that_refuses_a_message_takes_the_next(client: KafkaClient) -> None:
    """An idempotent producer has spent a sequence number on what was refused; a new one is needed."""
    topic = await a_topic(client, config={"max.message.bytes": "10000"})
    async with KafkaSink(client) as sink:
        await sink.publish([OutgoingRecord(topic, b"k", b"one", {})])
        with pytest.raises(Dead, match=r"max\.message\.bytes"):
            await sink.publish([OutgoingRecord(topic, b"k", bytes(pseudo_random(50_000)), {})])
        await sink.publish([OutgoingRecord(topic, b"k", b"two", {}), OutgoingRecord(topic, b"k", b"three", {})])
    assert await values(client, topic) == [b"one", b"two", b"three"]


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110 -- in tasks of aiokafka's
        await asyncio.sleep(0.02)


def pseudo_random(count: int) -> list[int]:
    """Bytes that don't compress."""
    state = list(itertools.accumulate(range(count), lambda last, _: (last * 1103515245 + 12345) % 2**31, initial=1))
    return [number >> 16 & 255 for number in state]


async def test_an_outage_does_not_multiply_messages(client: KafkaClient, kafka: KafkaCluster) -> None:
    topic = await a_topic(client)
    message, other = OutgoingRecord(topic, b"k", b"once", {}), OutgoingRecord(topic, b"k", b"twice", {})
    async with KafkaSink(client, confirm_s=1.0) as sink:
        await sink.publish([OutgoingRecord(topic, b"k", b"before", {})])
        await kafka.stop_broker(0)
        for _ in range(3):
            with pytest.raises(BrokerAway):
                await sink.publish([message, other, other])
        await kafka.start_broker(0)
        async with asyncio.timeout(30):
            while True:
                try:
                    await sink.publish([message, other, other])
                    break
                except BrokerAway:
                    continue
    assert await values(client, topic) == [b"before", b"once", b"twice", b"twice"]


async def test_a_sink_can_be_closed_while_the_broker_is_away(client: KafkaClient, kafka: KafkaCluster) -> None:
    topic = await a_topic(client)
    async with asyncio.timeout(None) as bound:
        async with KafkaSink(client, confirm_s=1.0) as sink:
            await sink.publish([OutgoingRecord(topic, b"k", b"before", {})])
            await kafka.stop_broker(0)
            bound.reschedule(asyncio.get_running_loop().time() + 30)  # less than a request's time-out
            publishing = asyncio.create_task(sink.publish([OutgoingRecord(topic, b"k", b"lost", {})]))
            await asyncio.sleep(0.2)
        with pytest.raises(BrokerAway):
            await publishing
    await kafka.start_broker(0)


async def test_a_topic_that_is_missing_is_waited_for(client: KafkaClient) -> None:
    async with KafkaSink(client, confirm_s=1.0) as sink:
        with pytest.raises(BrokerAway):
            await sink.publish([OutgoingRecord("no-such-topic", b"k", b"v", {})])


async def test_a_reader_reads_to_the_end_of_now(client: KafkaClient) -> None:
    topic = await a_topic(client, partitions=3)
    assert await values(client, topic) == []
    assert await values(client, "no-such-topic") == []
    async with KafkaSink(client) as sink:
        await sink.publish([OutgoingRecord(topic, b"%d" % number, b"%d" % number, {}) for number in range(500)])
        found: list[ConsumedRecord] = []
        async for message in read_topic(client, topic):
            if len(found) == 10:
                await sink.publish([OutgoingRecord(topic, b"late", b"late", {})])
            found.append(message)
    assert sorted(int(message.value or b"") for message in found) == list(range(500))


async def test_a_follower_catches_up_and_continues(client: KafkaClient) -> None:
    topic = await a_topic(client, config={"cleanup.policy": "compact"})
    caught_up, found = asyncio.Event(), []
    async with KafkaSink(client) as sink:
        await sink.publish([OutgoingRecord(topic, b"k", b"old", {})])

        async def follow() -> None:
            async for message in follow_topic(client, topic, caught_up=caught_up):
                found.append(message.value)

        following = asyncio.create_task(follow())
        async with asyncio.timeout(20):
            await caught_up.wait()
            assert found == [b"old"]
            await sink.publish([OutgoingRecord(topic, b"k", b"new", {})])
            await until(lambda: len(found) == 2)
        following.cancel()
        await asyncio.wait({following})
    assert found == [b"old", b"new"]


async def test_an_engine_passes_transactions_markers_and_aborted_messages(client: KafkaClient, tmp_path: Path) -> None:
    topic, out = await a_topic(client), await a_topic(client)
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=client.bootstrap, transactional_id="t") as producer:
        for number in range(6):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"%d" % number, key=b"k")
            await (producer.abort_transaction() if number % 2 else producer.commit_transaction())
    stop = asyncio.Event()

    async def copy(message: ConsumedRecord) -> list[OutgoingRecord]:
        return [OutgoingRecord(out, message.key or b"", message.value or b"", {})]

    async with KafkaSink(client) as sink:
        source = KafkaSource(client, topics=[topic], group=topic, times=GroupTimes(session_s=6.0))
        engine = Engine(
            service="toy",
            owner="me",
            source=source,
            sink=sink,
            handle=copy,
            attempts=MemoryAttempts(MemoryServer()),
            circuits=MemoryCircuits(MemoryServer()),
            holds=Holds(),
            dead_topic="none",
            limits=Limits(watch_s=0.1),
        )
        running = asyncio.create_task(engine.run(stop))
        async with asyncio.timeout(20):
            await until(lambda: engine.counters.finished == 3)
            await until(lambda: engine.state().lag and not sum(engine.state().lag.values()))
        stop.set()
        await running
    assert await values(client, out) == [b"0", b"2", b"4"]


async def test_two_topics_in_one_group_and_one_declared_late(client: KafkaClient) -> None:
    early, late = await a_topic(client), next(NAMES)
    seen: list[bytes | None] = []
    stop = asyncio.Event()

    async def note(message: ConsumedRecord) -> list[OutgoingRecord]:
        seen.append(message.value)
        return []

    async with KafkaSink(client) as sink:
        times = GroupTimes(session_s=6.0)
        engine = Engine(
            service="toy",
            owner="me",
            source=KafkaSource(client, topics=[early, late], group=early, times=times, metadata_s=1.0),
            sink=sink,
            handle=note,
            attempts=MemoryAttempts(MemoryServer()),
            circuits=MemoryCircuits(MemoryServer()),
            holds=Holds(),
            dead_topic="none",
        )
        running = asyncio.create_task(engine.run(stop))
        await sink.publish([OutgoingRecord(early, b"k", b"early", {})])
        async with asyncio.timeout(30):
            await until(lambda: seen == [b"early"])
            await declare(client, [TopicSpec(name=late, partitions=1, replication=1)])
            await sink.publish([OutgoingRecord(late, b"k", b"late", {})])
            await until(lambda: seen == [b"early", b"late"])
        stop.set()
        await running
