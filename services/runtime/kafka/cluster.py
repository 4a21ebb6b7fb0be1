"""What a cluster says of itself: its brokers, how much its topics hold, how far its consumer groups are."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiokafka  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from services.core.errors import BrokerAway
from services.runtime.engine.source import TopicPartition
from services.runtime.kafka.client import KafkaClient

ANSWER_S = 15.0
"""Seconds for all of an answer: a question at the command line isn't to hang."""


async def brokers(client: KafkaClient) -> int:
    """How many brokers are alive. Raises BrokerAway."""
    async with _away(client), _admin(client) as admin:
        return len((await admin.describe_cluster())["brokers"])


async def cluster_id(client: KafkaClient) -> str:
    """What the cluster calls itself: another one, also at the same address, has another. Raises BrokerAway."""
    async with _away(client), _admin(client) as admin:
        return str((await admin.describe_cluster())["cluster_id"])


async def held(client: KafkaClient, topics: Collection[str]) -> dict[TopicPartition, range]:
    """The offsets that each partition of these topics holds; nothing of topics that don't exist. Raises BrokerAway."""
    async with _away(client):
        consumer = aiokafka.AIOKafkaConsumer(**client.arguments())
        try:
            await consumer.start()
            metadata = await consumer._client.fetch_all_metadata()
            keys = [
                aiokafka.TopicPartition(topic, number)
                for topic in topics
                for number in sorted(metadata.partitions_for_topic(topic) or ())
            ]
            begins = await consumer.beginning_offsets(keys) if keys else {}
            ends = await consumer.end_offsets(keys) if keys else {}
        finally:
            await consumer.stop()
    return {TopicPartition(*key): range(begins[key], ends[key]) for key in keys}


async def committed(client: KafkaClient, groups: Collection[str]) -> dict[str, Mapping[TopicPartition, int]]:
    """Each group's committed offsets; nothing for a group that has none. Raises BrokerAway."""
    async with _away(client), _admin(client) as admin:
        offsets = [await admin.list_consumer_group_offsets(group) for group in groups]
    return {
        group: {TopicPartition(*key): value.offset for key, value in found.items() if value.offset >= 0}
        for group, found in zip(groups, offsets, strict=True)
    }


def lag(holds: Mapping[TopicPartition, range], done: Mapping[TopicPartition, int], topic: str) -> int:
    """Messages of a topic that a group has not committed: of its partitions without a commit, all. Pure."""
    return sum(
        max(0, offsets.stop - max(offsets.start, done.get(partition, 0)))
        for partition, offsets in holds.items()
        if partition.topic == topic
    )


@asynccontextmanager
async def _admin(client: KafkaClient) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**client.arguments())
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def _away(client: KafkaClient) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWER_S):
            yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway(f"Kafka at {client.bootstrap} does not answer ({type(error).__name__})") from error
