"""Kafka in memory, for tests without sockets: topics, one member a group, a source and a sink. Rebalances between
members are tested on Kafka itself."""

import asyncio
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from services.runtime.engine.commit_rule import Committed
from services.runtime.engine.source import Listener


class MemoryBroker:
    """Topics that are created at their first use, and the groups' commits. Set `away` to a reason, and sources
    and sinks raise BrokerAway with it."""

    def __init__(self, partitions: int = 1) -> None:
        """`partitions` of each topic; a record's is derived from its key."""
        self.away: str | None = None
        self.commits: dict[tuple[str, TopicPartition], Committed] = {}
        """By group."""
        self._partitions = partitions
        self._logs: dict[TopicPartition, list[ConsumedRecord]] = defaultdict(list)
        self._news = asyncio.Event()

    def append(self, message: OutgoingRecord, offset: int | None = None) -> ConsumedRecord:
        """Write a message; at a later offset than the next, it leaves a gap, as compaction does."""
        key = self.partition(message.topic, message.key)
        written = ConsumedRecord(
            *key, self.end(key) if offset is None else offset, message.key, message.value, message.headers
        )
        assert written.offset >= self.end(key), "a log only grows"
        self._logs[key].append(written)
        self._news.set()
        return written

    def partition(self, topic: str, key: bytes) -> TopicPartition:
        """Where messages of this key go."""
        return TopicPartition(topic, zlib.crc32(key) % self._partitions)

    def partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        """All partitions of these topics."""
        return [TopicPartition(topic, number) for topic in topics for number in range(self._partitions)]

    def messages(self, topic: str) -> list[ConsumedRecord]:
        """Everything in a topic, partition by partition."""
        return [message for key in self.partitions([topic]) for message in self._logs[key]]

    def log(self, partition: TopicPartition) -> Sequence[ConsumedRecord]:
        """One partition's messages."""
        return self._logs[partition]

    def end(self, partition: TopicPartition) -> int:
        """The offset of the next message."""
        log = self._logs[partition]
        return log[-1].offset + 1 if log else 0

    def wipe(self, topic: str) -> None:
        """Delete the topic and create it again, while it is being read: its offsets begin at 0."""
        for key in self.partitions([topic]):
            self._logs[key].clear()

    def check(self) -> None:
        """Raise BrokerAway while it is."""
        if self.away:
            raise BrokerAway(self.away)

    async def news(self, timeout_s: float) -> None:
        """Wait until something is written, so many seconds at most."""
        self._news.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            pass


class MemorySource:
    """The only member of its group: every partition of its topics is its own, until `rebalance`."""

    def __init__(self, broker: MemoryBroker, *, topics: Collection[str], group: str) -> None:
        self._broker = broker
        self._topics = topics
        self._group = group
        self._listener: Listener | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._generation = 0
        self._committing_in: int | None = None
        self._settled = False
        self._turn = 0

    async def start(self, listener: Listener) -> None:
        self._broker.check()
        assert self._listener is None, "start once"
        self._listener = listener

    async def poll(self, wanted: Collection[TopicPartition], *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        await asyncio.sleep(0)  # Never after the taking: what is returned belongs to this assignment.
        self._broker.check()
        self._settle()
        if not (found := self._take(wanted, limit)) and timeout_s > 0:
            await self._broker.news(timeout_s)
            self._broker.check()
            self._settle()
            found = self._take(wanted, limit)
        return found

    async def commit(self, commits: Mapping[TopicPartition, Committed]) -> bool:
        self._broker.check()
        await asyncio.sleep(0)
        if self._committing_in != self._generation:
            return False
        assert commits.keys() <= self._positions.keys(), "only what is ours is committed"
        self._broker.commits.update({(self._group, partition): commit for partition, commit in commits.items()})
        return True

    async def lag(self) -> Mapping[TopicPartition, int]:
        self._broker.check()
        if self._listener is None:
            raise BrokerAway("not connected yet")
        return {key: max(0, self._broker.end(key) - position) for key, position in self._positions.items()}

    async def reachable(self) -> bool:
        return self._broker.away is None

    async def stop(self) -> None:
        self._listener, self._settled, self._committing_in = None, False, None
        self._positions.clear()

    async def rebalance(self) -> None:
        """Take everything, as each eager rebalance does; the next poll brings it back."""
        if self._listener is not None and self._settled:
            await self._listener.revoked(frozenset(self._positions))
        self._generation += 1
        self._settled = False
        self._positions.clear()

    def _settle(self) -> None:
        if self._settled or self._listener is None:
            return
        self._settled, self._committing_in = True, self._generation
        commits = {key: self._broker.commits.get((self._group, key)) for key in self._broker.partitions(self._topics)}
        self._positions = {key: commit.offset if commit else 0 for key, commit in commits.items()}
        self._listener.assigned(commits)

    def _take(self, wanted: Collection[TopicPartition], limit: int) -> list[ConsumedRecord]:
        """In fair shares, then what is left."""
        taken: list[ConsumedRecord] = []
        for share in (max(1, limit // max(1, len(wanted))), limit):
            self._turn += 1
            for number in range(len(wanted)):
                key = list(wanted)[(self._turn + number) % len(wanted)]
                taken += self._next(key, min(share, limit - len(taken)))
        return taken

    def _next(self, key: TopicPartition, count: int) -> Sequence[ConsumedRecord]:
        if key not in self._positions:
            return ()
        if self._positions[key] > self._broker.end(key):
            self._positions[key] = 0  # out of range: as `auto_offset_reset: earliest`
        log = self._broker.log(key)
        first = bisect_left(log, self._positions[key], key=lambda message: message.offset)
        fresh = log[first : first + count]
        if fresh:
            self._positions[key] = fresh[-1].offset + 1
        return fresh


class MemorySink:
    """The port `Sink`, into a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """At once, all or none."""
        await asyncio.sleep(0)
        self._broker.check()
        for message in messages:
            self._broker.append(message)
