"""Messages read by their positions: what was seen of a case keeps positions, and the topics keep the bodies."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import aiokafka  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, Position
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.records import consumed

POLL_MS = 500
READ_S = 10.0
"""For all of one asking, in seconds: somebody waits for it."""
AHEAD_BYTES = 2**18
"""Fetched at once of a partition, about; a single larger message still comes whole (KIP-74)."""


async def read_at(
    client: KafkaClient, positions: Sequence[Position], *, within_s: float = READ_S
) -> list[ConsumedRecord]:
    """The messages at these positions, in their order; those that retention has deleted are left out. One consumer for
    all. Raises BrokerAway, also where it takes longer than `within_s` seconds."""
    if not positions:
        return []
    consumer = aiokafka.AIOKafkaConsumer(
        **client.arguments(),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=AHEAD_BYTES,
    )
    try:
        async with asyncio.timeout(within_s):
            await consumer.start()
            found = await _read(consumer, await _there(consumer, positions))
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway(f"Kafka at {client.bootstrap}: {type(error).__name__}: {error}") from error
    finally:
        await consumer.stop()
    return [found[position] for position in positions if position in found]


async def _there(consumer: Any, positions: Collection[Position]) -> dict[Any, list[int]]:
    """The offsets that are still held, by partition, in descending order: the next to be read comes last."""
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


async def _read(consumer: Any, left: dict[Any, list[int]]) -> dict[Position, ConsumedRecord]:
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
            while offsets and offsets[-1] < passed:  # found, or deleted meanwhile
                offsets.pop()
            if not offsets:
                del left[key]
                consumer.pause(key)
            elif offsets[-1] > passed:
                consumer.seek(key, offsets[-1])
    return found
