"""Where the laws of `Source` hold: memory, Kafka, and a Faust app on Kafka; and a listener that keeps what it hears."""

import asyncio
import itertools
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

from services.core.messages import ConsumedRecord, Sink, TopicPartition
from services.runtime.engine.commit_rule import Committed
from services.runtime.engine.source import Source
from services.runtime.faust.client import build
from services.runtime.faust.source import FaustSource
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.membership import GroupTimes
from services.runtime.kafka.memory import MemoryBroker, MemorySink, MemorySource
from services.runtime.kafka.reader import read_topic
from services.runtime.kafka.sink import KafkaSink
from services.runtime.kafka.source import KafkaSource

PARTITIONS = 2
NAMES = (f"law-{number}" for number in itertools.count())
TIMES = GroupTimes(session_s=6.0, rebalance_s=6.0)


class Place(Protocol):
    """Where the laws are to hold. Each test has a topic and a group of its own, both `topic`."""

    topic: str

    @property
    def sink(self) -> Sink: ...
    def source(self) -> Source: ...
    async def read(self) -> list[ConsumedRecord]: ...
    async def disturb(self, source: Source) -> None:
        """Make a rebalance happen, whose revocation is over when this returns, or with a poll in progress."""


class Memory:
    def __init__(self) -> None:
        self.topic = next(NAMES)
        self.broker = MemoryBroker(PARTITIONS)
        self.sink = MemorySink(self.broker)

    def source(self) -> MemorySource:
        return MemorySource(self.broker, topics=[self.topic], group=self.topic)

    async def read(self) -> list[ConsumedRecord]:
        return self.broker.messages(self.topic)

    async def disturb(self, source: Source) -> None:
        assert isinstance(source, MemorySource)
        await source.rebalance()


class Real:
    def __init__(self, client: KafkaClient, stack: AsyncExitStack, topic: str, *, on_faust: bool) -> None:
        self.topic = topic
        self.client = client
        self.sink = KafkaSink(client)
        self._stack = stack
        self._on_faust = on_faust

    def source(self) -> Source:
        if self._on_faust:
            return FaustSource(build(self.topic, self.client, TIMES), client=self.client, topics=[self.topic])
        return KafkaSource(self.client, topics=[self.topic], group=self.topic, times=TIMES)

    async def read(self) -> list[ConsumedRecord]:
        return [message async for message in read_topic(self.client, self.topic)]

    async def disturb(self, source: Source) -> None:
        other = self.source()
        self._stack.push_async_callback(other.stop)
        await other.start(Heard())
        polling = asyncio.create_task(forever(other))
        self._stack.callback(polling.cancel)


async def forever(source: Source) -> None:
    while True:
        await source.poll((), limit=1, timeout_s=0.1)
        await asyncio.sleep(0.05)


class Heard:
    """A listener that records its calls; `source` commits `last` when it is revoked."""

    def __init__(self) -> None:
        self.commits: dict[TopicPartition, Committed | None] = {}
        self.revoked_partitions: set[TopicPartition] = set()
        self.source: Source | None = None
        self.last: dict[TopicPartition, Committed] = {}
        self.last_taken: bool | None = None
        self.late: asyncio.Task[bool] | None = None

    def assigned(self, partitions: Mapping[TopicPartition, Committed | None]) -> None:
        self.commits = dict(partitions)

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.revoked_partitions |= set(partitions)
        if self.source is not None:
            self.last_taken = await self.source.commit(self.last)
            self.late = asyncio.create_task(self.source.commit(self.last))  # begins when we have returned
            self.source = None
