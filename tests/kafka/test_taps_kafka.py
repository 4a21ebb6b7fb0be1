"""Reading from a point in time, and by position, on Apache Kafka itself."""

import asyncio
import itertools
import time
from contextlib import aclosing

import aiokafka
import pytest
import pytest_asyncio

from services.core.messages import ConsumedRecord, Position
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import TopicSpec, declare
from services.runtime.kafka.reader import follow_topic, read_at, read_topic

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

NAMES = (f"taps-since-{number}" for number in itertools.count())
NOON = int(time.time() * 1000) - 600_000
"""Ten minutes ago: nothing is old enough to be deleted."""


@pytest.fixture
def client(kafka: KafkaCluster) -> KafkaClient:
    return KafkaClient(bootstrap=kafka.bootstrap)


@pytest_asyncio.fixture(loop_scope="module")
async def topic(client: KafkaClient) -> str:
    """Partition 0 holds messages of noon and of one, two and three seconds later; 1 two of noon; 2 nothing."""
    name = next(NAMES)
    await declare(client, [TopicSpec(name=name, partitions=3, replication=1)])
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=client.bootstrap) as producer:
        for partition, after in [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 0)]:
            at = NOON + after * 1_000
            await producer.send_and_wait(name, b"%d" % after, partition=partition, timestamp_ms=at)
    return name


def places(messages: list[ConsumedRecord]) -> list[tuple[int, int]]:
    return sorted((message.partition, message.offset) for message in messages)


@pytest.mark.parametrize(
    ("after_ms", "found"),
    [
        (-1, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]),
        (0, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]),
        (1, [(0, 1), (0, 2), (0, 3)]),
        (2_000, [(0, 2), (0, 3)]),
        (3_001, []),
    ],
)
async def test_a_reader_begins_at_a_point_in_time(
    client: KafkaClient, topic: str, after_ms: int, found: list[tuple[int, int]]
) -> None:
    messages = [message async for message in read_topic(client, topic, since_ms=NOON + after_ms)]
    assert places(messages) == found


async def test_a_follower_starts_there_and_continues(client: KafkaClient, topic: str) -> None:
    caught_up, found = asyncio.Event(), []
    async with aclosing(follow_topic(client, topic, caught_up=caught_up, since_ms=NOON + 2_001)) as messages:
        found.append(await anext(messages))
        coming = asyncio.ensure_future(anext(messages))
        await caught_up.wait()
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=client.bootstrap) as producer:
            await producer.send_and_wait(topic, b"new", partition=2)
        found.append(await coming)
    assert places(found) == [(0, 3), (2, 0)]


async def test_messages_are_read_by_position_in_the_order_asked_for(client: KafkaClient, topic: str) -> None:
    wanted = [(0, 3), (1, 1), (0, 0), (0, 2)]
    gone = [Position(topic, 0, 99), Position(topic, 2, 0), Position(topic, 77, 0), Position("no-such-topic", 0, 0)]
    found = await read_at(client, [*(Position(topic, *place) for place in wanted), *gone])
    assert [(message.partition, message.offset) for message in found] == wanted
    assert [message.value for message in found] == [b"3", b"0", b"0", b"2"]
