"""Queries about a cluster: brokers, offsets of topics, lag of groups. declare.py creates topics."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3

from services.contracts.topics import topics
from services.core.errors import BrokerAway
from services.core.messages import TopicPartition
from services.runtime.engine import offset_ranges
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.errors import broker_away

# aiokafka 0.14 decodes answers of version 3 by the schema of version 2, and fails.
DescribeGroupsRequest_v3.RESPONSE_TYPE = DescribeGroupsResponse_v3

ANSWER_S = 15.0
"""Seconds for a whole query, so that commands do not hang."""


@dataclass(frozen=True)
class Progress:
    """A group's commit of a partition."""

    offset: int
    finished: frozenset[int] = frozenset()
    """Offsets above it that are finished too, as the commit's metadata says."""


async def reachable(client: KafkaClient, *, within_s: float = 5.0) -> bool:
    """Whether a broker answers a new connection within so many seconds. Raises nothing of Kafka's."""
    try:
        async with connected(client, within_s=within_s, request_timeout_ms=int(within_s * 1000)):
            return True
    except BrokerAway:
        return False


async def brokers(client: KafkaClient) -> int:
    """How many brokers are alive. Raises BrokerAway."""
    async with connected(client) as admin:
        return len((await admin.describe_cluster())["brokers"])


async def cluster_id(client: KafkaClient) -> str:
    """The cluster's own id: another cluster at the same address has another. Raises BrokerAway."""
    async with connected(client) as admin:
        return str((await admin.describe_cluster())["cluster_id"])


async def held(client: KafkaClient, topics: Collection[str]) -> dict[TopicPartition, range]:
    """The offsets that each partition of these topics holds; nothing of topics that don't exist. Raises BrokerAway."""
    with _away(client):
        async with asyncio.timeout(ANSWER_S):
            consumer = aiokafka.AIOKafkaConsumer(**client.arguments())
            try:
                await consumer.start()
                return await _held(consumer, topics)
            finally:
                await consumer.stop()


async def committed(client: KafkaClient, groups: Collection[str]) -> dict[str, Mapping[TopicPartition, int]]:
    """Each group's committed offsets; nothing for a group that has none. Raises BrokerAway."""
    found = await progress(client, groups)
    return {group: {key: each.offset for key, each in done.items()} for group, done in found.items()}


async def progress(client: KafkaClient, groups: Collection[str]) -> dict[str, Mapping[TopicPartition, Progress]]:
    """Each group's commits; nothing for a group that has none. Raises BrokerAway."""
    async with connected(client) as admin:
        return {group: await _progress(admin, group) for group in groups}


def lag(holds: Mapping[TopicPartition, range], done: Mapping[TopicPartition, int], topic: str) -> int:
    """Records of a topic that a group has not committed: of its partitions without a commit, all. Pure."""
    return sum(
        max(0, offsets.stop - max(offsets.start, done.get(partition, 0)))
        for partition, offsets in holds.items()
        if partition.topic == topic
    )


def left(holds: Mapping[TopicPartition, range], done: Mapping[TopicPartition, Progress], topic: str) -> int:
    """Records of a topic that a group has not finished: the lag without what is finished above the commit. One case
    that takes long holds back the commit, but not this count. Pure."""
    count = 0
    for partition, offsets in holds.items():
        if partition.topic == topic:
            progress = done.get(partition, Progress(offsets.start))
            open_ = range(max(offsets.start, progress.offset), offsets.stop)
            count += len(open_) - sum(offset in open_ for offset in progress.finished)
    return count


@dataclass(frozen=True)
class Group:
    """A consumer group at one look."""

    members: frozenset[str]
    """Kafka's ids of its members: a process that starts again is a new member."""
    finished: int
    """Offsets that it has finished: it changes whenever the group finishes something."""


@dataclass(frozen=True)
class Lags:
    """Records of each topic: those that it holds, those that each of its groups has not committed, and those that it
    has not finished."""

    messages: Mapping[str, int]
    lag: Mapping[str, Mapping[str, int]]
    left: Mapping[str, Mapping[str, int]]
    groups: Mapping[str, Group]


def readers() -> dict[str, list[str]]:
    """The services' groups that read each topic that isn't compacted; the monitor's reads all but its dead letters."""
    groups_of = {
        name: [topic.group or reader for reader in topic.read_by if reader not in ("taps", "command-line")]
        for name, topic in topics().items()
        if not topic.compacted
    }
    return {name: groups + (["monitor"] if name != "monitor-dead" else []) for name, groups in groups_of.items()}


class LagWatch:
    """Asks one cluster for every group's lag, again and again, on connections that stay open."""

    def __init__(self, client: KafkaClient) -> None:
        """Connects at the first look, and again after a failure."""
        self._client = client
        self._open: list[Any] = []

    async def look(self) -> Lags:
        """The current lags. Raises BrokerAway."""
        try:
            with _away(self._client):
                async with asyncio.timeout(ANSWER_S):
                    return await self._look()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Disconnect. Harmless where nothing is open."""
        consumer, admin = self._open or (None, None)
        self._open = []
        if consumer is not None:
            await consumer.stop()
        if admin is not None:
            await admin.close()

    async def _look(self) -> Lags:
        if not self._open:
            arguments = self._client.arguments()
            self._open = [aiokafka.AIOKafkaConsumer(**arguments), AIOKafkaAdminClient(**arguments)]
            for each in self._open:
                await each.start()
        consumer, admin = self._open
        groups_of = readers()
        holds = await _held(consumer, groups_of)
        done = {
            group: await _progress(admin, group)
            for group in sorted({group for groups in groups_of.values() for group in groups})
        }
        offsets = {group: {key: each.offset for key, each in found.items()} for group, found in done.items()}
        members = await _members(admin, list(done))
        return Lags(
            messages={name: sum(len(held) for key, held in holds.items() if key.topic == name) for name in groups_of},
            lag={
                name: {group: lag(holds, offsets[group], name) for group in groups}
                for name, groups in groups_of.items()
            },
            left={
                name: {group: left(holds, done[group], name) for group in groups} for name, groups in groups_of.items()
            },
            groups={group: Group(members.get(group, frozenset()), _finished(found)) for group, found in done.items()},
        )


@asynccontextmanager
async def connected(client: KafkaClient, *, within_s: float = ANSWER_S, **more: Any) -> AsyncIterator[Any]:
    """aiokafka's admin client, for a few requests that take `within_s` seconds at most. Raises BrokerAway."""
    admin = AIOKafkaAdminClient(**client.arguments(), **more)
    with _away(client):
        async with asyncio.timeout(within_s):
            try:
                await admin.start()
                yield admin
            finally:
                await admin.close()


def _away(client: KafkaClient) -> Any:
    return broker_away(f"Kafka at {client.bootstrap} does not answer")


async def _held(consumer: Any, names: Collection[str]) -> dict[TopicPartition, range]:
    metadata = await consumer._client.fetch_all_metadata()
    keys = [
        aiokafka.TopicPartition(name, number)
        for name in names
        for number in sorted(metadata.partitions_for_topic(name) or ())
    ]
    if not keys:
        return {}
    begins, ends = await consumer.beginning_offsets(keys), await consumer.end_offsets(keys)
    return {TopicPartition(*key): range(begins[key], ends[key]) for key in keys}


async def _progress(admin: Any, group: str) -> dict[TopicPartition, Progress]:
    found = await admin.list_consumer_group_offsets(group)
    return {
        TopicPartition(*key): Progress(value.offset, offset_ranges.decode(value.offset, value.metadata))
        for key, value in found.items()
        if value.offset >= 0
    }


def _finished(found: Mapping[TopicPartition, Progress]) -> int:
    return sum(each.offset + len(each.finished) for each in found.values())


async def _members(admin: Any, groups: list[str]) -> dict[str, frozenset[str]]:
    answers = await admin.describe_consumer_groups(groups)
    # Each group: error code, group, state, protocol type, protocol, members (the first of a member: its id), …
    return {each[1]: frozenset(member[0] for member in each[5]) for answer in answers for each in answer.groups}
