"""Which partitions this process writes: what the group assigns, locked, and positioned by their manifests."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

import structlog

from services.exporter.disk import Disk
from services.exporter.manifest import BadFolder
from services.exporter.partition import Limits, Partition
from services.runtime.kafka.positioned import Assignment

LOOK_EVERY_S = 1.0
"""Seconds between two looks whether a locked partition is free."""

log = structlog.get_logger(__name__)


class Positions(Protocol):
    """What is needed of services.runtime.kafka.positioned."""

    def assignment(self) -> Assignment:
        """What is ours now."""
        ...

    def begin(self, partition: int, offset: int) -> None:
        """Deliver a partition from this offset on."""
        ...

    async def bounds(self, partitions: Collection[int]) -> dict[int, range]:
        """The offsets that each partition holds now. Raises BrokerAway."""
        ...


class Holding:
    """The partitions in hand. Correct whatever the group does: only the lock's holder writes, and it begins where the
    manifest stands. A partition that comes back in the next assignment keeps its open part."""

    def __init__(
        self,
        consumer: Positions,
        folder: Path,
        topic: str,
        *,
        limits: Limits,
        clock: Callable[[], float],
        disk: Disk | None = None,
    ) -> None:
        self._consumer = consumer
        self._folder = folder
        self._topic = topic
        self._limits = limits
        self._clock = clock
        self._disk = disk
        self._held: dict[int, Partition] = {}
        self._locked: set[int] = set()
        self._number = 0
        self._look_at = 0.0

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._held.values()))

    def get(self, partition: int) -> Partition | None:
        """The partition, where it is in hand."""
        return self._held.get(partition)

    @property
    def locked(self) -> frozenset[int]:
        """Assigned partitions that another process still writes."""
        return frozenset(self._locked)

    async def follow(self) -> None:
        """Let go of what isn't ours any more, take what is. Raises BadFolder, OSError; BrokerAway: call again."""
        assignment = self._consumer.assignment()
        if assignment.number != self._number:
            self._keep(assignment.partitions)
            self._number, self._look_at = assignment.number, self._clock()
        missing = assignment.partitions - self._held.keys()
        if missing and self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_EVERY_S
            for number in sorted(missing):
                await self._take(number)

    def release(self) -> None:
        """Let go of all; open parts are forgotten."""
        self._keep(frozenset())

    def _keep(self, partitions: frozenset[int]) -> None:
        for number in self._held.keys() - partitions:
            self._held.pop(number).release()
        self._locked &= partitions
        for number, partition in self._held.items():
            self._consumer.begin(number, partition.next_offset)

    async def _take(self, number: int) -> None:
        partition = await asyncio.to_thread(
            Partition.open, self._folder, self._topic, number, disk=self._disk, limits=self._limits
        )
        if partition is None:
            self._wait_for(number)
            return
        try:
            await self._check(number, partition)
        except BaseException:
            partition.release()
            raise
        self._held[number] = partition
        self._locked.discard(number)
        self._consumer.begin(number, partition.next_offset)
        log.info("writing", partition=number, offset=partition.next_offset, parts=len(partition.manifest.parts))

    async def _check(self, number: int, partition: Partition) -> None:
        """Of another cluster's folder, every new message would be taken for one that was exported long ago."""
        end = (await self._consumer.bounds([number]))[number].stop
        if partition.next_offset > end:
            raise BadFolder(
                f"{self._folder} is at offset {partition.next_offset} of {self._topic}/{number}, which ends at {end}: "
                "it belongs to another cluster, or the topic was made anew; export into a new folder"
            )

    def _wait_for(self, number: int) -> None:
        if number not in self._locked:
            self._locked.add(number)
            log.warning("another process still writes this partition: waiting for its lock", partition=number)
