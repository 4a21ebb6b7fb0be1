"""The loop: read, add to parts, commit. The exactness is in partition.py, holding.py and table.py."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog
from deltalake.exceptions import DeltaError

from services.core.errors import BrokerAway, LedgerAway, Trouble
from services.core.messages import ConsumedRecord, Sink, TopicPartition
from services.exporter.holding import Holding, Positions
from services.exporter.metrics import TableMetrics
from services.exporter.partition import Limits, Partition
from services.exporter.table import PartitionLost
from services.exporter.thinking import ReadThinking
from services.runtime.engine.spans import processing

POLL = 500
"""Messages per poll: a few milliseconds of work each, so that heartbeats are not delayed for long."""
POLL_S = 0.5
AWAY_S = 1.0
"""Seconds until Kafka or the ledger is retried."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Consumer(Positions, Protocol):
    """The consumer: services.runtime.kafka.positioned."""

    async def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read. Raises BrokerAway."""
        ...

    async def poll(self, *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        """The next messages, in order by partition. Raises BrokerAway."""
        ...

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Commit the positions to the group, for its lag. Never raises for Kafka."""
        ...


class TableTrouble(Trouble):
    """The table cannot be written: disk full, read-only, or store unreachable."""


class Exporter:
    """Exports the topics of one table. An error ends it; the next exporter reads uncommitted messages again."""

    def __init__(
        self,
        consumer: Consumer,
        sink: Sink,
        holding: Holding,
        *,
        group: str,
        thinking: ReadThinking,
        limits: Limits,
        metrics: TableMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._sink = sink
        self._holding = holding
        self._group = group
        self._thinking = thinking
        self._limits = limits
        self._metrics = metrics
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Export until `stop` is set, then commit the open parts. Raises TableTrouble, BadTable, TooManyDead."""
        try:
            while not stop.is_set():
                await self._round()
            await self._seal_all()
        except (OSError, DeltaError) as error:
            raise _explained(error) from error
        finally:
            self._holding.release()

    async def run_once(self, stop: asyncio.Event) -> bool:
        """Export up to the topics' current end, then commit the parts. False: stopped before. Raises as `run`."""
        try:
            await self._holding.follow()
            ends = await self._consumer.bounds(self._consumer.assignment().partitions)
            while not stop.is_set() and not await self._reached(ends):
                await self._round()
            await self._seal_all()
            return await self._reached(ends) and not any(partition.is_open for partition in self._holding)
        except (OSError, DeltaError) as error:
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
        except LedgerAway as away:
            log.warning("away: what was read is read again", error=str(away), again_in_s=AWAY_S)
            self._holding.waits = True
            self._holding.rewind()
            await _pause(AWAY_S)
        else:
            self._holding.waits = False
        await self._seal_due()
        self._metrics.hold(self._holding)

    async def _poll(self) -> list[ConsumedRecord]:
        if self._is_full():  # the parts cannot be closed while Kafka does not accept their dead letters
            await _pause(AWAY_S)
            return []
        return await self._consumer.poll(limit=POLL, timeout_s=POLL_S)

    def _is_full(self) -> bool:
        return sum(partition.bytes for partition in self._holding) > self._limits.buffer_bytes

    async def _take(self, received: ConsumedRecord) -> None:
        partition = self._holding.get(TopicPartition(received.topic, received.partition))
        if partition is None:
            return  # not positioned yet: read again from the table's position
        with processing(received, group=self._group):
            partition.accept(received, self._clock(), await self._thinking(received))
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
        """Commit the open part, after its dead letters. While Kafka is away it stays open, and is retried."""
        try:
            if letters := partition.dead_letters:
                await self._sink.publish(letters)
        except BrokerAway as away:
            log.warning("a part with dead letters stays open: Kafka is away", error=str(away))
            return
        try:
            part = await _to_the_end(partition.seal)
        except PartitionLost:
            self._holding.lost(partition)
            return
        if part is None:
            return
        self._metrics.sealed(part)
        log.info(
            "committed", topic=partition.topic, partition=partition.number, rows=part.rows, offset=part.next_offset
        )
        await self._consumer.commit({partition.key: part.next_offset})

    async def _reached(self, ends: dict[TopicPartition, range]) -> bool:
        try:
            positions = {key: await self._consumer.position(key) for key in ends}
        except BrokerAway:
            return False
        return all(positions[key] >= bounds.stop for key, bounds in ends.items())


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _to_the_end(action: Callable[[], T]) -> T:
    """Run in a thread, and wait for it even if cancelled: the process must not exit during a commit."""
    running = asyncio.ensure_future(asyncio.to_thread(action))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _explained(error: Exception) -> TableTrouble:
    return TableTrouble(
        f"can't write the dataset: {error}. Make room (or make the folder or store writable) and start again: nothing "
        "is lost, it resumes from the last commit"
    )
