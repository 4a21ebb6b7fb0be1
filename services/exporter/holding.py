"""The partitions that this process writes: assigned by the group, positioned by the table."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

import structlog

from services.exporter.partition import Limits, Partition
from services.exporter.table import BadTable, Table
from services.runtime.kafka.positioned import Assignment

log = structlog.get_logger(__name__)


class Positions(Protocol):
    """The part of services.runtime.kafka.positioned that is used."""

    def assignment(self) -> Assignment:
        """The current assignment."""
        ...

    def begin(self, partition: int, offset: int) -> None:
        """Deliver a partition from this offset on."""
        ...

    async def bounds(self, partitions: Collection[int]) -> dict[int, range]:
        """The offsets that each partition holds now. Raises BrokerAway."""
        ...


class Holding:
    """The assigned partitions. Correct under any rebalance, since the table refuses the commit of an overtaken writer.
    A partition that returns in the next assignment keeps its open part."""

    def __init__(
        self, consumer: Positions, open_table: Callable[[], Table], topic: str, *, limits: Limits, where: str
    ) -> None:
        self._consumer = consumer
        self._open_table = open_table
        self._table: Table | None = None
        self._topic = topic
        self._limits = limits
        self._where = where
        self._held: dict[int, Partition] = {}
        self._number = 0

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._held.values()))

    def get(self, partition: int) -> Partition | None:
        """The partition, if it is positioned."""
        return self._held.get(partition)

    async def follow(self) -> None:
        """Drop revoked partitions, and position new ones. Raises BadTable, DeltaError, OSError;
        BrokerAway: call again."""
        assignment = self._consumer.assignment()
        if assignment.number != self._number:
            self._keep(assignment.partitions)
            self._number = assignment.number
        for number in sorted(assignment.partitions - self._held.keys()):
            await self._take(number)

    def lost(self, partition: Partition) -> None:
        """Another writer has committed: drop the open part, and resume from the table's position if the partition is
        still assigned."""
        self._held.pop(partition.number, None)
        log.warning("another writer has committed: resuming from its position", partition=partition.number)

    def release(self) -> None:
        """Drop all partitions with their open parts."""
        self._held.clear()

    def _keep(self, partitions: frozenset[int]) -> None:
        for number in self._held.keys() - partitions:
            del self._held[number]
        for number, partition in self._held.items():
            self._consumer.begin(number, partition.next_offset)

    async def _take(self, number: int) -> None:
        if self._table is None:
            self._table = await asyncio.to_thread(self._open_table)
        bounds = (await self._consumer.bounds([number]))[number]
        partition = await asyncio.to_thread(
            Partition.open, self._table, self._topic, number, first=bounds.start, limits=self._limits
        )
        if partition.next_offset > bounds.stop:  # of another cluster: new messages would count as old ones
            raise BadTable(
                f"{self._where} is at offset {partition.next_offset} of {self._topic}/{number}, which ends at "
                f"{bounds.stop}: it belongs to another cluster, or the topic was recreated; export into a new folder"
            )
        self._held[number] = partition
        self._consumer.begin(number, partition.next_offset)
        log.info("writing", partition=number, offset=partition.next_offset)
