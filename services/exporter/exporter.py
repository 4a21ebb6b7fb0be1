"""The loop: read, take in, close parts. Everything that must be exact is in partition.py and holding.py."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog

from services.core.errors import BrokerAway, Trouble
from services.core.messages import ConsumedRecord, Sink
from services.exporter.holding import Holding, Positions
from services.exporter.metrics import Metrics
from services.exporter.partition import SERVICE, Limits, Partition
from services.runtime.engine.spans import processing

POLL = 500
"""Messages a poll: a few milliseconds' work each, so that heartbeats aren't kept waiting for long."""
POLL_S = 0.5
AWAY_S = 1.0
"""Seconds until Kafka is tried again."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Consumer(Positions, Protocol):
    """Where messages come from: services.runtime.kafka.positioned."""

    async def position(self, partition: int) -> int:
        """The next offset that will be read. Raises BrokerAway."""
        ...

    async def poll(self, *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        """The next messages, in order by partition. Raises BrokerAway."""
        ...

    async def commit(self, offsets: dict[int, int]) -> None:
        """Tell the group how far we are. Never raises for Kafka."""
        ...


class DiskTrouble(Trouble):
    """The folder can't be written: full, read-only, gone."""


class Exporter:
    """Exports one topic. An error ends it with all locks released and the folder as its manifests say."""

    def __init__(
        self,
        consumer: Consumer,
        sink: Sink,
        holding: Holding,
        *,
        limits: Limits,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._sink = sink
        self._holding = holding
        self._limits = limits
        self._metrics = metrics
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then the open parts are closed. Raises DiskTrouble, BadFolder, TooManyDead."""
        try:
            while not stop.is_set():
                await self._round()
            await self._seal_all()
        except OSError as error:
            raise _explained(error) from error
        finally:
            self._holding.release()

    async def run_once(self, stop: asyncio.Event) -> bool:
        """Up to the ends of now, then close the parts. False: stopped before that. Raises as `run`, and Trouble where
        another process writes one of the partitions."""
        try:
            await self._holding.follow()
            if locked := self._holding.locked:
                raise Trouble(f"another process writes partitions {sorted(locked)}: stop it, or leave them to it")
            ends = await self._consumer.bounds(self._consumer.assignment().partitions)
            while not stop.is_set() and not await self._reached(ends):
                await self._round()
            await self._seal_all()
            return await self._reached(ends) and not any(partition.is_open for partition in self._holding)
        except OSError as error:
            raise _explained(error) from error
        finally:
            self._holding.release()

    async def _round(self) -> None:
        try:
            await self._holding.follow()
            for received in await self._poll():
                await self._take(received)
        except BrokerAway as away:
            self._metrics.away.inc()
            log.warning("away", error=str(away), again_in_s=AWAY_S)
            await _pause(AWAY_S)
        await self._seal_due()
        self._metrics.hold(self._holding, len(self._holding.locked))

    async def _poll(self) -> list[ConsumedRecord]:
        if self._is_full():  # the parts can't be closed, since Kafka doesn't take their dead letters
            await _pause(AWAY_S)
            return []
        return await self._consumer.poll(limit=POLL, timeout_s=POLL_S)

    def _is_full(self) -> bool:
        return sum(partition.bytes for partition in self._holding) > self._limits.buffer_bytes

    async def _take(self, received: ConsumedRecord) -> None:
        partition = self._holding.get(received.partition)
        if partition is None:
            return  # not positioned yet: it comes again from where the manifest stands
        with processing(received, group=SERVICE):
            partition.accept(received, self._clock())
        if partition.due(self._clock()):
            await self._seal(partition)

    async def _seal_due(self) -> None:
        for partition in self._holding:
            if partition.due(self._clock()):
                await self._seal(partition)
        for partition in sorted(self._holding, key=lambda partition: partition.bytes, reverse=True):
            if self._is_full():
                await self._seal(partition)

    async def _seal_all(self) -> None:
        for partition in self._holding:
            await self._seal(partition)

    async def _seal(self, partition: Partition) -> None:
        """Close the open part: dead letters first. With Kafka away it stays open, and is due again."""
        try:
            if letters := partition.dead_letters:
                await self._sink.publish(letters)
        except BrokerAway as away:
            log.warning("a part with dead letters stays open: Kafka is away", error=str(away))
            return
        before = partition.manifest
        part = await _to_the_end(partition.seal)
        after = partition.manifest
        if after is before:
            return
        self._metrics.sealed(part.rows if part else 0, after.dropped - before.dropped)
        log.info("closed", part=part.name if part else None, rows=part.rows if part else 0, offset=after.next_offset)
        await self._consumer.commit({after.partition: after.next_offset})

    async def _reached(self, ends: dict[int, range]) -> bool:
        try:
            positions = {number: await self._consumer.position(number) for number in ends}
        except BrokerAway:
            return False
        return all(positions[number] >= bounds.stop for number, bounds in ends.items())


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _to_the_end(action: Callable[[], T]) -> T:
    """Run in a thread, and wait for that even if cancelled: the lock must not be released while the thread writes."""
    running = asyncio.ensure_future(asyncio.to_thread(action))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _explained(error: OSError) -> DiskTrouble:
    return DiskTrouble(
        f"can't write the dataset: {error}. Make room (or make the folder writable) and start again: nothing is lost, "
        "it goes on from the manifests"
    )
