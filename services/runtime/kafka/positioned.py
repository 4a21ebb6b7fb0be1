"""A consumer whose user keeps the positions: for a store that knows itself how far it has read a topic.

Nothing of a partition is delivered before its user has called `begin`, after each assignment again. The group, where
there is one, only assigns partitions; offsets are committed to it for those who watch its lag.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiokafka
import structlog
from aiokafka.abc import ConsumerRebalanceListener

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, TopicPartition
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.errors import ERRORS, broker_away
from services.runtime.kafka.records import consumed

log = structlog.get_logger(__name__)

ANSWER_S = 10.0
"""Seconds for an answer about offsets, or to a commit."""


@dataclass(frozen=True)
class Assignment:
    """The partitions that are ours now. Another number is another assignment, even of the same partitions."""

    number: int
    partitions: frozenset[TopicPartition]


class PositionedConsumer:
    """Reads some topics. One user at a time; nothing is read in the background beyond aiokafka's own small buffer."""

    def __init__(
        self, client: KafkaClient, topics: Sequence[str], *, group: str | None, session_s: float = 30.0
    ) -> None:
        """With a group, partitions are shared among its members; a member that is silent for `session_s` seconds has
        lost its own. Without one, all partitions are ours."""
        self._client = client
        self._topics = topics
        self._group = group
        self._session_s = session_s
        self._consumer: Any = None
        self._assignment = Assignment(0, frozenset())

    async def start(self) -> None:
        """Connect; with a group, ask to join it. Raises BrokerAway: also where a topic doesn't exist and there is no
        group, in which it could be waited for."""
        consumer = aiokafka.AIOKafkaConsumer(**self._arguments())
        with broker_away():
            try:
                await consumer.start()
                if self._group is None:
                    await self._assign_all(consumer)
            except BaseException:
                await consumer.stop()
                raise
        self._consumer = consumer
        if self._group is not None:
            consumer.subscribe(topics=list(self._topics), listener=_Rebalances(self))

    async def stop(self) -> None:
        """Leave the group and disconnect, within some seconds. Harmless before start, and twice."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                await consumer.stop()
        except TimeoutError:
            log.warning("the broker did not answer while leaving the group", topics=self._topics)
            await consumer._client.close()

    def assignment(self) -> Assignment:
        """What is ours now. It changes only while something here is awaited."""
        return self._assignment

    def begin(self, partition: TopicPartition, offset: int) -> None:
        """Deliver a partition from this offset on (from the first that there is, where that is later). Nothing happens
        where the partition isn't ours any more: the next assignment says so."""
        if partition in self._assignment.partitions:
            with contextlib.suppress(aiokafka.errors.IllegalStateError):  # revoked, and not known here yet
                self._consumer.seek(self._key(partition), offset)
                self._consumer.resume(self._key(partition))

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, range]:
        """The offsets that each partition holds now, as the broker says. Raises BrokerAway."""
        if not partitions:
            return {}
        keys = [self._key(partition) for partition in partitions]
        with broker_away():
            async with asyncio.timeout(ANSWER_S):
                begins = await self._consumer.beginning_offsets(keys)
                ends = await self._consumer.end_offsets(keys)
        return {TopicPartition(*key): range(begins[key], ends[key]) for key in keys}

    async def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read of a partition that has begun; past transaction markers too."""
        with broker_away():
            async with asyncio.timeout(ANSWER_S):
                return int(await self._consumer.position(self._key(partition)))

    async def poll(self, *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        """Up to `limit` messages, in order by partition; none after `timeout_s` seconds. Raises BrokerAway."""
        with broker_away():
            batches = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=limit)
        return [consumed(record) for batch in batches.values() for record in batch]

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the positions, for those who watch the group's lag. A failure is logged: nothing depends on it."""
        if self._group is None or not offsets:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._consumer.commit({self._key(partition): offset for partition, offset in offsets.items()})
        except ERRORS as error:
            log.info("lag could not be committed", error=type(error).__name__)

    async def _assign_all(self, consumer: Any) -> None:
        metadata = await consumer._client.fetch_all_metadata()
        numbers = {topic: metadata.partitions_for_topic(topic) for topic in self._topics}
        if missing := [topic for topic, found in numbers.items() if not found]:
            raise BrokerAway(f"there is no topic {', '.join(missing)}: declare the topics")
        keys = [TopicPartition(topic, number) for topic, found in numbers.items() for number in found]
        consumer.assign([self._key(key) for key in keys])
        self._assigned(consumer, keys)

    def _assigned(self, consumer: Any, partitions: Collection[TopicPartition]) -> None:
        # Paused before the first of their messages can be fetched, until `begin`.
        consumer.pause(*(self._key(partition) for partition in partitions))
        self._assignment = Assignment(self._assignment.number + 1, frozenset(partitions))

    def _key(self, partition: TopicPartition) -> Any:
        return aiokafka.TopicPartition(*partition)

    def _arguments(self) -> dict[str, Any]:
        return {
            **self._client.arguments(),
            "group_id": self._group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "session_timeout_ms": int(self._session_s * 1000),
            "heartbeat_interval_ms": int(self._session_s * 100),
            "rebalance_timeout_ms": int(self._session_s * 1000),
            # Longer than a rebalance, which the broker answers a join with only when it is over.
            "request_timeout_ms": int((self._session_s + 10) * 1000),
            "metadata_max_age_ms": 30_000,
            # What is fetched ahead, by partition and by broker; a single larger message still comes through (KIP-74).
            "max_partition_fetch_bytes": 2**20,
            "fetch_max_bytes": max(8 * 2**20, self._client.max_message_bytes),
        }


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """Only notes what is ours. What is revoked may well come back: the user decides, with the next assignment."""

    def __init__(self, consumer: PositionedConsumer) -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        pass

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._consumer._assigned(self._consumer._consumer, [TopicPartition(*key) for key in assigned])
