"""Reads topics outside any consumer group: whole, followed, or at given positions. One consumer set-up for all."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiokafka

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, Position, TopicPartition
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.errors import broker_away
from services.runtime.kafka.records import consumed

POLL_MS = 500
STALLED_S = 30.0
"""Seconds without a record, short of the end, after which a bounded read fails."""
POSITIONS_S = 10.0
"""For a read at given positions, in seconds: a person waits for it."""
AHEAD_BYTES = 2**18
"""Fetched of a partition at once, about, in such a read; a single larger record still comes whole (KIP-74)."""
RANGE_S = 30.0
"""For one read of a range of offsets, in seconds."""
RANGE_BYTES = 8 * 2**20
"""Of one such read, about: a few records of the largest size, or thousands of small ones."""


async def read_topic(
    client: KafkaClient, *topics: str, since_ms: int | None = None
) -> AsyncGenerator[ConsumedRecord, None]:
    """Every record from the beginning to the current end, in order by partition; nothing of a topic that doesn't
    exist. With `since_ms` (Unix time) from each partition's first record of that time or later. Raises BrokerAway,
    also where the broker goes away in between."""
    async with _consumer(client) as consumer:
        partitions = await _assign(consumer, topics, since_ms)
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
    """Every record from the beginning, then new ones, until it is closed; `since_ms` as in read_topic. `caught_up` is
    set once the current end has been passed. Outlives a broker that is away later on; raises BrokerAway where it is
    away at the start, or a topic doesn't exist."""
    async with _consumer(client) as consumer:
        partitions = await _assign(consumer, topics, since_ms)
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


async def read_at(
    client: KafkaClient, positions: Sequence[Position], *, within_s: float = POSITIONS_S
) -> list[ConsumedRecord]:
    """The records at these positions, in their order; those that retention has deleted are left out. Raises
    BrokerAway, also where it takes longer than `within_s` seconds."""
    if not positions:
        return []
    async with _consumer(client, within_s=within_s, max_partition_fetch_bytes=AHEAD_BYTES) as consumer:
        found = await _read_at(consumer, await _held(consumer, positions))
    return [found[position] for position in positions if position in found]


async def read_range(client: KafkaClient, partition: TopicPartition, begin: int, end: int) -> list[ConsumedRecord]:
    """The first of a partition's records from offset `begin` to below `end`, in order: some RANGE_BYTES of them. None
    where none exist: deleted by retention, or the offsets of transaction markers. There must be something at `end` or
    behind it. Raises BrokerAway."""
    key = aiokafka.TopicPartition(*partition)
    found: list[ConsumedRecord] = []
    size = 0
    async with _consumer(client, within_s=RANGE_S, isolation_level="read_uncommitted") as consumer:
        consumer.assign([key])
        consumer.seek(key, begin)
        while size < RANGE_BYTES and await consumer.position(key) < end:
            records = (await consumer.getmany(key, timeout_ms=POLL_MS)).get(key, [])
            found += [consumed(record) for record in records if record.offset < end]
            size = sum(len(record.value or b"") for record in found)
    return found


@asynccontextmanager
async def _consumer(client: KafkaClient, *, within_s: float | None = None, **more: Any) -> AsyncIterator[Any]:
    """A consumer of no group, used for `within_s` seconds at most. Raises BrokerAway for what goes wrong with it."""
    arguments = {
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "fetch_max_bytes": max(8 * 2**20, client.max_message_bytes),
        "metadata_max_age_ms": 30_000,
    }
    consumer = aiokafka.AIOKafkaConsumer(**client.arguments(), **(arguments | more))
    with broker_away(f"Kafka at {client.bootstrap}"):
        try:
            async with asyncio.timeout(within_s):
                await consumer.start()
                yield consumer
        finally:
            await consumer.stop()


async def _assign(consumer: Any, topics: Sequence[str], since_ms: int | None) -> list[Any]:
    """All partitions of the topics, read from their beginning, or from a time on; to the end where nothing is that
    new."""
    metadata = await consumer._client.fetch_all_metadata()
    partitions = [
        aiokafka.TopicPartition(topic, number)
        for topic in topics
        for number in sorted(metadata.partitions_for_topic(topic) or ())
    ]
    if partitions:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
    if partitions and since_ms is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        ends = await consumer.end_offsets(partitions)
        for key in partitions:
            consumer.seek(key, ends[key] if found[key] is None else found[key].offset)
    return partitions


async def _unread(consumer: Any, partitions: list[Any]) -> dict[Any, int]:
    """The current ends, of the partitions that hold anything."""
    if not partitions:
        return {}
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {key: end for key, end in ends.items() if end > begins[key]}


async def _held(consumer: Any, positions: Collection[Position]) -> dict[Any, list[int]]:
    """The offsets that Kafka still holds, by partition, in descending order: the next to be read comes last."""
    metadata = await consumer._client.fetch_all_metadata()
    wanted: defaultdict[Any, set[int]] = defaultdict(set)
    for topic, number, offset in ((each.topic, each.partition, each.offset) for each in positions):
        if number in (metadata.partitions_for_topic(topic) or ()):
            wanted[aiokafka.TopicPartition(topic, number)].add(offset)
    if not wanted:
        return {}
    begins, ends = await consumer.beginning_offsets(list(wanted)), await consumer.end_offsets(list(wanted))
    held = {key: [each for each in offsets if begins[key] <= each < ends[key]] for key, offsets in wanted.items()}
    return {key: sorted(offsets, reverse=True) for key, offsets in held.items() if offsets}


async def _read_at(consumer: Any, left: dict[Any, list[int]]) -> dict[Position, ConsumedRecord]:
    consumer.assign(list(left))
    for key, offsets in left.items():
        consumer.seek(key, offsets[-1])
    found: dict[Position, ConsumedRecord] = {}
    while left:
        batches = await consumer.getmany(*left, timeout_ms=POLL_MS)
        for key, offsets in list(left.items()):
            for record in batches.get(key, ()):
                if record.offset in offsets:
                    message = consumed(record)
                    found[message.position] = message
            passed = await consumer.position(key)
            while offsets and offsets[-1] < passed:  # found, or deleted in the meantime
                offsets.pop()
            if not offsets:
                del left[key]
                consumer.pause(key)
            elif offsets[-1] > passed:
                consumer.seek(key, offsets[-1])
    return found
