"""`KafkaSource`: a member of a consumer group over AIOKafkaConsumer."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import aiokafka
import structlog
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, TopicPartition
from services.runtime.engine.commit_rule import Committed
from services.runtime.engine.source import Listener
from services.runtime.engine.stall import Stalled
from services.runtime.kafka import membership
from services.runtime.kafka.admin import reachable
from services.runtime.kafka.assignor import sticky
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.client_tasks import ended_task
from services.runtime.kafka.errors import broker_away
from services.runtime.kafka.membership import NOTHING, GroupTimes
from services.runtime.kafka.records import consumed

log = structlog.get_logger(__name__)


class KafkaSource:
    """A member of a consumer group, with the promises of `Source`."""

    def __init__(
        self,
        client: KafkaClient,
        *,
        topics: Collection[str],
        group: str,
        times: GroupTimes | None = None,
        metadata_s: float = 30.0,
    ) -> None:
        """Connects at `start`. A topic or partition that is created later is noticed within `metadata_s` seconds."""
        self._client = client
        self._topics = sorted(topics)
        self._group = group
        self._times = times or GroupTimes()
        self._metadata_s = metadata_s
        self._consumer: Any = None
        self._listener: Listener | None = None
        self._generation: int | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._unsettled: frozenset[TopicPartition] | None = None
        self._turn = 0

    async def start(self, listener: Listener) -> None:
        assert self._consumer is None, "start once"
        consumer = aiokafka.AIOKafkaConsumer(**self._arguments())
        with broker_away():
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
        self._consumer, self._listener = consumer, listener
        consumer.subscribe(topics=self._topics, listener=_Rebalances(self))

    async def poll(self, wanted: Collection[TopicPartition], *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        asked = [aiokafka.TopicPartition(*partition) for partition in wanted]
        with broker_away():
            await self._settle()
            records = await self._shares(asked, limit)
            if not records:
                # One: of many partitions, aiokafka drops what it took from the first if the next one's batch is broken.
                batches = await self._consumer.getmany(
                    *(asked or [NOTHING]), timeout_ms=int(timeout_s * 1000), max_records=1
                )
                records = [record for batch in batches.values() for record in batch]
                if records:
                    records = await self._shares(asked, limit, records)
                else:
                    await self._settle()
        return [consumed(record) for record in records]

    async def commit(self, commits: Mapping[TopicPartition, Committed]) -> bool:
        if (generation := self._generation) is None:
            return False
        assert commits.keys() <= self._assigned, "only assigned partitions are committed"
        with broker_away():
            async with asyncio.timeout(self._times.answer_s):
                return await membership.commit(
                    self._consumer, commits, generation=generation, current=lambda: self._generation
                )

    async def lag(self) -> Mapping[TopicPartition, int]:
        if self._consumer is None:
            raise BrokerAway("Kafka: not connected yet")
        if why := ended_task(self._consumer):
            raise Stalled(why)
        assigned = [aiokafka.TopicPartition(*partition) for partition in self._assigned]
        with broker_away():
            async with asyncio.timeout(self._times.answer_s):
                if not assigned:
                    await self._consumer.topics()
                    return {}
                ends = await self._consumer.end_offsets(assigned)
        return {TopicPartition(*key): max(0, end - self._position(key)) for key, end in ends.items()}

    async def reachable(self) -> bool:
        return await reachable(self._client, within_s=self._times.answer_s)

    async def stop(self) -> None:
        consumer, self._generation = self._consumer, None
        if consumer is None:
            return
        try:
            async with asyncio.timeout(2 * self._times.answer_s):
                await consumer.stop()
        except TimeoutError:
            log.warning("the broker did not answer while leaving the group", group=self._group)
            await consumer._client.close()
        finally:
            self._consumer = None

    async def _shares(self, asked: list[Any], limit: int, taken: Iterable[Any] = ()) -> list[Any]:
        """`taken`, and what has been fetched already, in fair shares: getmany alone empties a partition before it
        looks at the next, and a megabyte of small records may be hours of work.

        What was taken is always returned: aiokafka's position is past it. An error of a later partition comes again
        with a later poll, and getmany without a time-out waits for nothing but a rebalance, which can't begin between
        two takes; so no cancellation comes between them either, and all belong to one assignment."""
        records = list(taken)
        self._turn += 1
        for number in range(len(asked)):
            if (left := limit - len(records)) <= 0:
                break
            key = asked[(self._turn + number) % len(asked)]
            share = min(left, max(1, limit // len(asked)))
            try:
                records += (await self._consumer.getmany(key, timeout_ms=0, max_records=share)).get(key, ())
            except KafkaError as error:
                if not records:
                    raise
                log.warning("a partition can't be read", topic=key.topic, partition=key.partition, error=str(error))
                break
        return records

    async def _settle(self) -> None:
        """Read the group's commits of newly assigned partitions, seek there, tell the listener, let records in."""
        partitions = self._unsettled
        if partitions is None:
            return
        async with asyncio.timeout(self._times.answer_s):
            commits = await membership.committed(self._consumer, partitions)
        if self._unsettled is not partitions or self._listener is None:
            return  # revoked in the meantime
        for partition, commit in commits.items():
            if commit is not None:
                self._consumer.seek(aiokafka.TopicPartition(*partition), commit.offset)
        self._unsettled = None
        self._listener.assigned(commits)
        self._consumer.resume(*membership.keys(partitions))

    def _current_generation(self) -> int:
        return int(self._consumer._coordinator.generation)

    def _position(self, key: Any) -> int:
        """Our position in a partition; 0 while it isn't known."""
        assignment = self._consumer._subscription.subscription.assignment
        state = assignment.state_value(key) if assignment else None
        return int(state.position) if state and state.has_valid_position else 0

    async def _on_revoked(self) -> None:
        self._unsettled = None
        try:
            if self._assigned and self._listener:
                await self._listener.revoked(self._assigned)
        finally:
            self._assigned, self._generation = frozenset(), None

    def _on_assigned(self, partitions: Collection[Any]) -> None:
        # Paused before the first of their records can be fetched; `poll` resumes them once they are settled.
        self._consumer.pause(*partitions)
        self._generation = self._current_generation()
        self._assigned = self._unsettled = frozenset(TopicPartition(*key) for key in partitions)

    def _arguments(self) -> dict[str, Any]:
        times = self._times
        return {
            **self._client.arguments(),
            "group_id": self._group,
            "partition_assignment_strategy": (sticky(self._current_generation),),
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "session_timeout_ms": int(times.session_s * 1000),
            "heartbeat_interval_ms": int(times.heartbeat_s * 1000),
            "rebalance_timeout_ms": int(times.rebalance_s * 1000),
            "max_poll_interval_ms": int(times.poll_s * 1000),
            "request_timeout_ms": int(times.request_s * 1000),
            "metadata_max_age_ms": int(self._metadata_s * 1000),
            # Small buffers (rule 2): what is fetched ahead of the permits, by partition and broker. A single message
            # that is larger still comes through (KIP-74).
            "max_partition_fetch_bytes": 2**20,
            "fetch_max_bytes": max(8 * 2**20, self._client.max_message_bytes),
            "fetch_max_wait_ms": 250,
        }


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka only logs what these raise."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        await self._source._on_revoked()

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._source._on_assigned(assigned)
