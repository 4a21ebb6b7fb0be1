"""Reading once more what a consumer passed over."""

import asyncio

import aiokafka  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord
from services.runtime.engine.source import TopicPartition
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.records import consumed

POLL_MS = 500
READ_S = 30.0
"""For one asking, in seconds."""
READ_BYTES = 8 * 2**20
"""Of one asking, about: a few messages of the largest size, or thousands of small ones."""


async def between(client: KafkaClient, partition: TopicPartition, begin: int, end: int) -> list[ConsumedRecord]:
    """The first of the partition's messages from offset `begin` to below `end`, in order: some READ_BYTES of them. None
    where none are there: deleted by retention, or the offsets of transactions' markers. There must be something at
    `end` or behind it. Raises BrokerAway."""
    key = aiokafka.TopicPartition(*partition)
    found: list[ConsumedRecord] = []
    size = 0
    consumer = aiokafka.AIOKafkaConsumer(
        **client.arguments(), auto_offset_reset="earliest", fetch_max_bytes=max(READ_BYTES, client.max_message_bytes)
    )
    try:
        async with asyncio.timeout(READ_S):
            await consumer.start()
            consumer.assign([key])
            consumer.seek(key, begin)
            while size < READ_BYTES and await consumer.position(key) < end:
                records = (await consumer.getmany(key, timeout_ms=POLL_MS)).get(key, [])
                found += [consumed(record) for record in records if record.offset < end]
                size = sum(len(message.value or b"") for message in found)
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway(f"Kafka: {type(error).__name__}: {error}") from error
    finally:
        await consumer.stop()
    return found
