"""A topic in memory, and an exporter over it."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from services.contracts.record import Record
from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from services.exporter.exporter import Exporter
from services.exporter.holding import Holding
from services.exporter.layout import RECORDS, Layout
from services.exporter.metrics import Metrics, TableMetrics
from services.exporter.partition import Limits
from services.exporter.table import Table
from services.exporter.thinking import ReadThinking, none
from services.exporter.watch import Watch
from services.runtime.kafka.positioned import Assignment
from tests.unit.exporter.world import TOPIC, message, record


class FakeKafka:
    """A topic of lists, whose assignment and reachability a test sets. Consumer and sink in one."""

    def __init__(self, partitions: int = 1, layout: Layout = RECORDS) -> None:
        self._name = layout.topics[0]
        self.topic: list[list[ConsumedRecord]] = [[] for _ in range(partitions)]
        self.positions: dict[int, int] = {}
        self.committed: dict[int, int] = {}
        self.published: list[OutgoingRecord] = []
        self.away = False
        self.refuses = False
        """Only what is published: as where the dead letters' topic is missing."""
        self.polls = 0
        self.now = 0.0
        self.on_poll = lambda: None
        self._assignment = Assignment(1, self._keys(range(partitions)))

    def write(self, *what: Record | bytes, partition: int = 0) -> None:
        for each in what:
            self.topic[partition].append(message(len(self.topic[partition]), each, partition))

    def assign(self, *partitions: int) -> None:
        self._assignment = Assignment(self._assignment.number + 1, self._keys(partitions))
        self.positions.clear()

    def assignment(self) -> Assignment:
        return self._assignment

    def begin(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition.partition] = offset

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, range]:
        if self.away:
            raise BrokerAway("Kafka: away")
        return {key: range(0, len(self.topic[key.partition])) for key in partitions}

    async def position(self, partition: TopicPartition) -> int:
        return self.positions.get(partition.partition, 0)

    async def poll(self, *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        self.polls += 1
        self.now += timeout_s
        self.on_poll()
        await asyncio.sleep(0)
        if self.away:
            raise BrokerAway("Kafka: away")
        found = [each for number, at in self.positions.items() for each in self.topic[number][at : at + 3]]
        for each in found:
            self.positions[each.partition] = each.offset + 1
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed.update({key.partition: offset for key, offset in offsets.items()})

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        if self.away or self.refuses:
            raise BrokerAway("Kafka: away")
        self.published += messages

    async def reachable(self) -> bool:
        return True

    def _keys(self, partitions: Iterable[int]) -> frozenset[TopicPartition]:
        return frozenset(TopicPartition(self._name, partition) for partition in partitions)


class Running:
    """An exporter over a fake Kafka, in a folder."""

    def __init__(
        self,
        kafka: FakeKafka,
        folder: Path,
        *,
        table: Callable[[], Table] | None = None,
        limits: Limits | None = None,
        layout: Layout = RECORDS,
        thinking: ReadThinking = none,
    ) -> None:
        limits = limits or Limits(rows=4, age_s=5)
        self.metrics = Metrics()
        table = table or (lambda: Table.open(layout.uri(str(folder)), layout))
        self.holding = Holding(kafka, table, limits=limits, where=str(folder))
        metrics = TableMetrics(self.metrics, layout.name)
        self.exporter = Exporter(
            kafka,
            kafka,
            self.holding,
            group=layout.group,
            thinking=thinking,
            limits=limits,
            metrics=metrics,
            clock=lambda: kafka.now,
        )
        self.watch = Watch(kafka, self.holding, reachable=kafka.reachable, metrics=metrics, clock=lambda: kafka.now)
        self.stop = asyncio.Event()

    async def once(self) -> bool:
        return await self.exporter.run_once(self.stop)

    def figure(self, name: str, **labels: str) -> float:
        where = {"table": "records"} | ({"topic": TOPIC} if name == "lag_offsets" else {})
        return self.metrics.registry.get_sample_value(f"reasonmed_exporter_{name}", where | labels) or 0.0


def ids_of(*numbers: int) -> list[str]:
    return [record(number).record_id for number in numbers]
