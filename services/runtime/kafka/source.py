"""`KafkaSource`: a group member over AIOKafkaConsumer.

Uses these private parts of aiokafka 0.14.0 (pinned; tests/unit/runtime/test_edges.py and test_kafka_source.py notice a
change): the coordinator's `generation`, `fetch_committed_offsets` (the public `committed` drops the metadata) and
`_do_commit_offsets`: one request. The public `commit` retries for ever, and each retry goes out under the generation
of that moment, for partitions that may be another's by then (rule 5). And the tasks that standstill.py looks at.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiokafka  # type: ignore[import-untyped]
import structlog
from aiokafka.abc import ConsumerRebalanceListener  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    IllegalGenerationError,
    KafkaError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord
from services.runtime.engine.source import Listener, TopicPartition
from services.runtime.engine.stall import Stalled, over
from services.runtime.engine.window import Committed
from services.runtime.kafka import patches  # noqa: F401 -- for what it does to aiokafka
from services.runtime.kafka.assignor import sticky
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reachable import reachable

log = structlog.get_logger(__name__)

NOTHING = aiokafka.TopicPartition("", 0)
"""A partition that nobody has: to poll for it is to show life, and to take nothing."""
ENDED = (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError)
"""What the broker says to a commit of a generation that has ended, or is ending."""


@dataclass(frozen=True, kw_only=True)
class GroupTimes:
    """A group's patience, in seconds. Heartbeats share the event loop, so a session outlives some stutter."""

    session_s: float = 30.0
    """Without a heartbeat for so long, a member is dead, and its partitions go to others."""
    rebalance_s: float = 30.0
    """How long a rebalance waits for a member: far longer than our callback, which commits once."""
    poll_s: float = 300.0
    """Without a poll for so long, a member leaves. The engine polls twice a second."""
    answer_s: float = 5.0
    """A request that the engine waits for: an offset commit, committed offsets, end offsets."""

    @property
    def heartbeat_s(self) -> float:
        """A tenth of the session, so that nine may be lost; also how soon a member learns of a rebalance."""
        return self.session_s / 10

    @property
    def request_s(self) -> float:
        """Any request: longer than a rebalance, at whose end only the broker answers a join; and than a session."""
        return max(self.rebalance_s, self.session_s) + 10


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
        """Connects to nothing yet. A topic or partition that is declared later is noticed within `metadata_s`."""
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
        with _broker_away():
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
        self._consumer, self._listener = consumer, listener
        consumer.subscribe(topics=self._topics, listener=_Rebalances(self))

    async def poll(self, wanted: Collection[TopicPartition], *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        asked = [aiokafka.TopicPartition(*partition) for partition in wanted]
        with _broker_away():
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
        return [received(record) for record in records]

    async def commit(self, commits: Mapping[TopicPartition, Committed]) -> bool:
        if (generation := self._generation) is None:
            return False
        assert commits.keys() <= self._assigned, "only what is ours is committed"
        try:
            return await self._commit(generation, {key: (due.offset, due.metadata) for key, due in commits.items()})
        except OffsetMetadataTooLargeError:
            log.warning("the broker takes less metadata than 4,096 characters: a restart will repeat more")
            return await self._commit(generation, {key: (due.offset, "") for key, due in commits.items()})

    async def lag(self) -> Mapping[TopicPartition, int]:
        if self._consumer is None:
            raise BrokerAway("Kafka: not connected yet")
        if why := over(self._consumer):
            raise Stalled(why)
        assigned = [aiokafka.TopicPartition(*partition) for partition in self._assigned]
        with _broker_away():
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
            log.warning("left without a word: the broker did not answer", group=self._group)
            await consumer._client.close()
        finally:
            self._consumer = None

    async def _shares(self, asked: list[Any], limit: int, taken: Iterable[Any] = ()) -> list[Any]:
        """`taken`, and what has been fetched already, in fair shares: getmany alone empties a partition before it
        looks at the next, and a megabyte of small messages may be hours of work.

        What was taken is always returned: aiokafka's position is past it. An error of a later partition comes again
        with a later poll, and getmany without a time-out waits for nothing but a rebalance, which can't begin between
        two takes; so no cancellation comes between them either, and all are of one assignment."""
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
        """Read where the group stands in newly assigned partitions, go there, tell the listener, let messages in."""
        partitions = self._unsettled
        if partitions is None:
            return
        keys = [aiokafka.TopicPartition(*partition) for partition in partitions]
        async with asyncio.timeout(self._times.answer_s):
            found = await self._consumer._coordinator.fetch_committed_offsets(keys)
        if self._unsettled is not partitions or self._listener is None:
            return  # revoked while we asked
        for key, committed in found.items():
            self._consumer.seek(key, committed.offset)
        self._unsettled = None
        commits = {TopicPartition(*key): Committed(value.offset, value.metadata) for key, value in found.items()}
        self._listener.assigned({partition: commits.get(partition) for partition in partitions})
        self._consumer.resume(*keys)

    async def _commit(self, generation: int, commits: Mapping[TopicPartition, tuple[int, str]]) -> bool:
        coordinator = self._consumer._coordinator
        with _broker_away():
            async with asyncio.timeout(self._times.answer_s):
                await coordinator.ensure_coordinator_known()
                # From this look to the request being built nothing is awaited: it goes out under this generation.
                if not generation == self._generation == self._current_generation():
                    return False
                try:
                    await coordinator._do_commit_offsets(None, _offsets(commits))
                except ENDED:
                    return False
        return True

    def _current_generation(self) -> int:
        return int(self._consumer._coordinator.generation)

    def _position(self, key: Any) -> int:
        """Where we stand in a partition; 0 while that isn't known."""
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
        # Paused before the first of their messages can be fetched; `poll` lets them in once it has settled them.
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


@contextlib.contextmanager
def _broker_away() -> Iterator[None]:
    try:
        yield
    except OffsetMetadataTooLargeError:
        raise
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway(f"Kafka: {type(error).__name__}: {error}") from error


def _offsets(commits: Mapping[TopicPartition, tuple[int, str]]) -> dict[Any, Any]:
    return {aiokafka.TopicPartition(*key): aiokafka.OffsetAndMetadata(*value) for key, value in commits.items()}


def received(record: Any) -> ConsumedRecord:
    return ConsumedRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers={name: value or b"" for name, value in record.headers},
        timestamp_ms=record.timestamp,
    )
