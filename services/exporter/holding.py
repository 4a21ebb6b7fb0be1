"""The partitions that this process writes: assigned by the group, positioned by the table."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

import structlog

from services.core.messages import TopicPartition
from services.exporter.partition import Limits, Partition
from services.exporter.table import BadTable, Table
from services.runtime.kafka.positioned import Assignment

log = structlog.get_logger(__name__)


class Positions(Protocol):
    """The part of services.runtime.kafka.positioned that is used."""

    def assignment(self) -> Assignment:
        """The current assignment."""
        ...

    def begin(self, partition: TopicPartition, offset: int) -> None:
        """Deliver a partition from this offset on."""
        ...

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, range]:
        """The offsets that each partition holds now. Raises BrokerAway."""
        ...


class Holding:
    """The assigned partitions. Correct under any rebalance, since the table refuses the commit of an overtaken writer.
    A partition that returns in the next assignment keeps its open part."""

    def __init__(self, consumer: Positions, open_table: Callable[[], Table], *, limits: Limits, where: str) -> None:
        self._consumer = consumer
        self._open_table = open_table
        self._table: Table | None = None
        self._limits = limits
        self._where = where
        self._held: dict[TopicPartition, Partition] = {}
        self._number = 0
        self.waits = False
        """Whether a dependency other than Kafka is away, so that no message can be added."""

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._held.values()))

    def get(self, partition: TopicPartition) -> Partition | None:
        """The partition, if it is positioned."""
        return self._held.get(partition)

    async def follow(self) -> None:
        """Drop revoked partitions, and position new ones. Raises BadTable, DeltaError, OSError;
        BrokerAway: call again."""
        assignment = self._consumer.assignment()
        if assignment.number != self._number:
            self._keep(assignment.partitions)
            self._number = assignment.number
        for key in sorted(assignment.partitions - self._held.keys()):
            await self._take(key)

    def lost(self, partition: Partition) -> None:
        """Another writer has committed: drop the open part, and resume from the table's position if the partition is
        still assigned."""
        self._held.pop(partition.key, None)
        log.warning(
            "another writer has committed: resuming from its position",
            topic=partition.topic,
            partition=partition.number,
        )

    def rewind(self) -> None:
        """Have everything delivered again that is in no open part."""
        for key, partition in self._held.items():
            self._consumer.begin(key, partition.next_offset)

    def release(self) -> None:
        """Drop all partitions with their open parts."""
        self._held.clear()

    def _keep(self, partitions: frozenset[TopicPartition]) -> None:
        for key in self._held.keys() - partitions:
            del self._held[key]
        self.rewind()

    async def _take(self, key: TopicPartition) -> None:
        if self._table is None:
            self._table = await asyncio.to_thread(self._open_table)
        bounds = (await self._consumer.bounds([key]))[key]
        partition = await asyncio.to_thread(
            Partition.open, self._table, key.topic, key.partition, first=bounds.start, limits=self._limits
        )
        if partition.next_offset > bounds.stop:  # of another cluster: new messages would count as old ones
            raise BadTable(
                f"{self._where} is at offset {partition.next_offset} of {key}, which ends at "
                f"{bounds.stop}: it belongs to another cluster, or the topic was recreated; export into a new folder"
            )
        self._held[key] = partition
        self._consumer.begin(key, partition.next_offset)
        log.info("writing", partition=key.partition, topic=key.topic, offset=partition.next_offset)
