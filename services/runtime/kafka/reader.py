"""Reading topics outside any consumer group: for accounts, taps, and the recipes."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiokafka  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.records import consumed

POLL_MS = 500
STALLED_S = 30.0
"""Seconds without a message, short of the end, after which a bounded read gives up."""


async def read_topic(
    client: KafkaClient, *topics: str, since_ms: int | None = None
) -> AsyncGenerator[ConsumedRecord, None]:
    """Every message from the beginning to what is the end now, in order by partition; nothing of a topic that doesn't
    exist. With `since_ms` (Unix time) from each partition's first message of then or later. Raises BrokerAway, also
    where the broker goes away in between."""
    async with _reading(client, topics, since_ms) as (consumer, partitions):
        left = await _unread(consumer, partitions)
        moved = time.monotonic()
        while left:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            for batch in batches.values():
                for record in batch:
                    if record.offset < left.get(aiokafka.TopicPartition(record.topic, record.partition), 0):
                        yield consumed(record)
            left = {key: end for key, end in left.items() if await consumer.position(key) < end}
            moved = time.monotonic() if batches else moved
            if time.monotonic() - moved > STALLED_S:
                raise BrokerAway(
                    f"Kafka: nothing of {', '.join(topics)} for {STALLED_S:g} s, and its end is not reached"
                )


async def follow_topic(
    client: KafkaClient, *topics: str, caught_up: asyncio.Event | None = None, since_ms: int | None = None
) -> AsyncGenerator[ConsumedRecord, None]:
    """Every message from the beginning, then those to come, until it is closed; `since_ms` as in read_topic.
    `caught_up` is set once what is the end now has been passed. Outlives a broker that is away later on; raises
    BrokerAway where it is so at the start, or a topic doesn't exist."""
    async with _reading(client, topics, since_ms) as (consumer, partitions):
        if missing := set(topics) - {key.topic for key in partitions}:
            raise BrokerAway(f"there is no topic {', '.join(sorted(missing))}: declare the topics")
        left = await _unread(consumer, partitions)
        while True:
            if not left and caught_up is not None:
                caught_up.set()
            for batch in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in batch:
                    yield consumed(record)
            left = {key: end for key, end in left.items() if await consumer.position(key) < end}


@asynccontextmanager
async def _reading(
    client: KafkaClient, topics: Sequence[str], since_ms: int | None
) -> AsyncIterator[tuple[Any, list[Any]]]:
    consumer = aiokafka.AIOKafkaConsumer(
        **client.arguments(),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_bytes=max(8 * 2**20, client.max_message_bytes),
        metadata_max_age_ms=30_000,
    )
    try:
        await consumer.start()
        metadata = await consumer._client.fetch_all_metadata()
        partitions = [
            aiokafka.TopicPartition(topic, number)
            for topic in topics
            for number in sorted(metadata.partitions_for_topic(topic) or ())
        ]
        if partitions:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            if since_ms is not None:
                await _seek(consumer, partitions, since_ms)
        yield consumer, partitions
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway(f"Kafka: {type(error).__name__}: {error}") from error
    finally:
        await consumer.stop()


async def _seek(consumer: Any, partitions: list[Any], since_ms: int) -> None:
    """To the first messages of that time or later; to the end where there is none."""
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
    ends = await consumer.end_offsets(partitions)
    for key in partitions:
        consumer.seek(key, ends[key] if found[key] is None else found[key].offset)


async def _unread(consumer: Any, partitions: list[Any]) -> dict[Any, int]:
    """The ends of now, of the partitions that hold anything."""
    if not partitions:
        return {}
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {key: end for key, end in ends.items() if end > begins[key]}
