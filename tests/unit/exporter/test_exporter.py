"""The loop, on a topic in memory: ends, stops, rebalances, locks, dead letters, a full disk, Kafka away."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from services.contracts.record import Record
from services.core.errors import BrokerAway, Trouble
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.exporter.dataset import manifests
from services.exporter.disk import Disk
from services.exporter.exporter import DiskTrouble, Exporter
from services.exporter.holding import Holding
from services.exporter.lock import PartitionLock
from services.exporter.manifest import BadFolder, lock_path
from services.exporter.metrics import Metrics
from services.exporter.partition import Limits, TooManyDead
from services.exporter.watch import STILL_S, Watch
from services.runtime.engine.stall import Stalled
from services.runtime.kafka.positioned import Assignment
from tests.unit.exporter.world import TOPIC, CrashingDisk, message, record, record_ids


class FakeKafka:
    """A topic of lists, whose assignment and reachability a test sets. Consumer and sink in one."""

    def __init__(self, partitions: int = 1) -> None:
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
        self.assign(*range(partitions))

    def write(self, *what: Record | bytes, partition: int = 0) -> None:
        for each in what:
            self.topic[partition].append(message(len(self.topic[partition]), each, partition))

    def assign(self, *partitions: int) -> None:
        number = self._assignment.number + 1 if hasattr(self, "_assignment") else 1
        self._assignment = Assignment(number, frozenset(partitions))
        self.positions.clear()

    def assignment(self) -> Assignment:
        return self._assignment

    def begin(self, partition: int, offset: int) -> None:
        self.positions[partition] = offset

    async def bounds(self, partitions: Collection[int]) -> dict[int, range]:
        if self.away:
            raise BrokerAway("Kafka: away")
        return {number: range(0, len(self.topic[number])) for number in partitions}

    async def position(self, partition: int) -> int:
        return self.positions.get(partition, 0)

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

    async def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.update(offsets)

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        if self.away or self.refuses:
            raise BrokerAway("Kafka: away")
        self.published += messages

    async def reachable(self) -> bool:
        return True


class Running:
    """An exporter over a fake Kafka, in a folder."""

    def __init__(
        self, kafka: FakeKafka, folder: Path, *, disk: Disk | None = None, limits: Limits | None = None
    ) -> None:
        limits = limits or Limits(rows=4, age_s=5)
        self.metrics = Metrics()
        self.holding = Holding(kafka, folder, TOPIC, limits=limits, clock=lambda: kafka.now, disk=disk)
        self.exporter = Exporter(
            kafka, kafka, self.holding, limits=limits, metrics=self.metrics, clock=lambda: kafka.now
        )
        self.watch = Watch(
            kafka, self.holding, reachable=kafka.reachable, metrics=self.metrics, clock=lambda: kafka.now
        )
        self.stop = asyncio.Event()

    async def once(self) -> bool:
        return await self.exporter.run_once(self.stop)

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"reasonmed_exporter_{name}", labels) or 0.0


def ids_of(*numbers: int) -> list[str]:
    return [record(number).record_id for number in numbers]


async def test_once_reads_to_the_end_and_closes(tmp_path: Path) -> None:
    kafka = FakeKafka(partitions=2)
    kafka.write(*(record(number) for number in range(10)))
    kafka.write(record(10), record(11), partition=1)
    running = Running(kafka, tmp_path)

    assert await running.once()

    assert record_ids(tmp_path) == ids_of(*range(12))
    assert [part.rows for part in manifests(tmp_path)[0].parts] == [4, 4, 2]
    assert (running.figure("rows_total"), running.figure("parts_total")) == (12, 4)
    assert kafka.committed == {0: 10, 1: 2}


async def test_once_again_adds_nothing(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0))
    for _ in range(2):
        kafka.assign(0)
        assert await Running(kafka, tmp_path).once()
    assert record_ids(tmp_path) == ids_of(0)


async def test_once_on_an_empty_topic(tmp_path: Path) -> None:
    assert await Running(FakeKafka(), tmp_path).once()


async def test_once_says_so_where_it_was_stopped_before_the_end(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(*(record(number) for number in range(9)))
    running = Running(kafka, tmp_path)
    kafka.on_poll = running.stop.set
    assert not await running.once()
    assert record_ids(tmp_path) == ids_of(0, 1, 2)  # what it had taken is closed


async def test_once_refuses_partitions_that_another_writes(tmp_path: Path) -> None:
    lock = PartitionLock.take(lock_path(tmp_path, 0))
    assert lock is not None
    with pytest.raises(Trouble, match=r"another process writes partitions \[0\]"):
        await Running(FakeKafka(), tmp_path).once()
    lock.release()


async def test_a_part_is_closed_by_age_and_at_the_stop(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0))
    running = Running(kafka, tmp_path)

    def later() -> None:
        if kafka.now == 6:
            assert record_ids(tmp_path) == ids_of(0)
            kafka.write(record(1))
        if kafka.now == 7:
            running.stop.set()

    kafka.on_poll = later
    await running.exporter.run(running.stop)
    assert record_ids(tmp_path) == ids_of(0, 1)


async def test_a_partition_that_comes_back_keeps_its_open_part(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(*(record(number) for number in range(7)))
    running = Running(kafka, tmp_path, limits=Limits(rows=100, age_s=100))
    kafka.on_poll = lambda: kafka.assign(0) if kafka.polls == 2 else running.stop.set() if kafka.polls == 6 else None
    await running.exporter.run(running.stop)
    assert record_ids(tmp_path) == ids_of(*range(7))
    assert len(manifests(tmp_path)[0].parts) == 1


async def test_a_partition_that_moves_is_let_go_and_read_again_by_the_next(tmp_path: Path) -> None:
    kafka, other = FakeKafka(), FakeKafka()
    for each in (kafka, other):
        each.write(*(record(number) for number in range(7)))
    running = Running(kafka, tmp_path, limits=Limits(rows=100, age_s=100))

    def moves() -> None:
        if kafka.polls == 2:
            kafka.assign()
        if kafka.polls == 4:
            assert list(running.holding) == []
            running.stop.set()

    kafka.on_poll = moves
    await running.exporter.run(running.stop)
    assert record_ids(tmp_path) == []

    assert await Running(other, tmp_path).once()
    assert record_ids(tmp_path) == ids_of(*range(7))


async def test_a_locked_partition_is_waited_for_and_the_others_go_on(tmp_path: Path) -> None:
    kafka = FakeKafka(partitions=2)
    kafka.write(record(0))
    kafka.write(record(1), partition=1)
    zombie = PartitionLock.take(lock_path(tmp_path, 1))
    assert zombie is not None
    running = Running(kafka, tmp_path)

    def wakes() -> None:
        if kafka.polls == 3:
            assert running.holding.locked == {1}
            assert any("partition 1" in why for why in running.watch.health().why)
            zombie.release()
        if kafka.polls == 8:
            running.stop.set()

    kafka.on_poll = wakes
    await running.exporter.run(running.stop)
    assert record_ids(tmp_path) == ids_of(0, 1)


async def test_dead_letters_are_confirmed_before_the_manifest_passes_them(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0), b"no record", record(1))
    running = Running(kafka, tmp_path)

    assert await running.once()

    assert [letter.value for letter in kafka.published] == [b"no record"]
    assert record_ids(tmp_path) == ids_of(0, 1)
    assert running.figure("dropped_total", why="dead") == 1


async def test_with_kafka_away_the_manifest_waits_for_the_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.exporter.exporter.AWAY_S", 0.0)
    kafka = FakeKafka()
    kafka.write(b"no record", record(0))
    running = Running(kafka, tmp_path)

    def goes_and_comes() -> None:
        if kafka.polls == 2:
            kafka.away = True
        if kafka.polls == 15:
            assert kafka.now > 5, "the part is due"
            assert manifests(tmp_path) == []
            kafka.away = False
        if kafka.polls == 20:
            running.stop.set()

    kafka.on_poll = goes_and_comes
    await running.exporter.run(running.stop)
    assert record_ids(tmp_path) == ids_of(0)
    assert len(kafka.published) == 1
    assert running.figure("kafka_away_total") == 13


async def test_a_flood_of_unreadable_messages_stops_it_and_nothing_is_passed(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(*[b"no record"] * 5)
    with pytest.raises(TooManyDead):
        await Running(kafka, tmp_path, limits=Limits(dead=3)).once()
    assert (kafka.published, manifests(tmp_path)) == ([], [])


async def test_a_full_disk_is_an_error_that_says_what_to_do_and_loses_nothing(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(*(record(number) for number in range(9)))
    full = CrashingDisk(4, how=lambda: OSError(28, "No space left on device"))
    with pytest.raises(DiskTrouble, match=r"No space left on device.*start again"):
        await Running(kafka, tmp_path, disk=full).once()

    kafka.assign(0)
    assert await Running(kafka, tmp_path).once()
    assert record_ids(tmp_path) == ids_of(*range(9))


async def test_open_parts_are_bounded_in_bytes(tmp_path: Path) -> None:
    kafka = FakeKafka(partitions=3)
    size = len(message(0, record(0)).value or b"")
    for partition in range(3):
        kafka.write(*(record(10 * partition + number) for number in range(9)), partition=partition)
    limits = Limits(rows=1_000, age_s=1_000, buffer_bytes=10 * size)
    running = Running(kafka, tmp_path, limits=limits)

    def look() -> None:
        assert sum(partition.bytes for partition in running.holding) <= limits.buffer_bytes

    kafka.on_poll = look
    assert await running.once()
    assert sorted(record_ids(tmp_path)) == sorted(ids_of(*(10 * p + n for p in range(3) for n in range(9))))


async def test_nothing_more_is_read_while_dead_letters_keep_the_parts_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = FakeKafka()
    kafka.write(b"no record", *(record(number) for number in range(30)))
    kafka.refuses = True
    size = len(message(0, record(0)).value or b"")
    running = Running(kafka, tmp_path, limits=Limits(rows=1_000, age_s=1_000, buffer_bytes=10 * size))
    waits = 0

    async def wait(_: float) -> None:
        nonlocal waits
        waits += 1
        kafka.refuses = waits < 5
        assert sum(partition.bytes for partition in running.holding) <= 13 * size  # a poll of three more

    monkeypatch.setattr("services.exporter.exporter._pause", wait)
    assert await running.once()
    assert waits == 5
    assert record_ids(tmp_path) == ids_of(*range(30))


async def test_another_clusters_folder_is_refused(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0), record(1))
    assert await Running(kafka, tmp_path).once()
    with pytest.raises(BadFolder, match="another cluster"):
        await Running(FakeKafka(), tmp_path).once()


async def test_a_cancelled_exporter_lets_go_only_after_its_write(tmp_path: Path) -> None:
    """Or the next writer of the partition would write at the same time."""
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class SlowDisk(Disk):
        def sync_folder(self, folder: Path) -> None:
            loop.call_soon_threadsafe(began.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            super().sync_folder(folder)

    kafka = FakeKafka()
    kafka.write(record(0))
    running = asyncio.create_task(Running(kafka, tmp_path, disk=SlowDisk()).once())
    await began.wait()
    running.cancel()
    try:
        await asyncio.sleep(0)
        assert PartitionLock.take(lock_path(tmp_path, 0)) is None
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert record_ids(tmp_path) == ids_of(0)
    lock = PartitionLock.take(lock_path(tmp_path, 0))
    assert lock is not None
    lock.release()


async def test_ready_means_partitions_in_hand_and_an_answer(tmp_path: Path) -> None:
    kafka = FakeKafka()
    running = Running(kafka, tmp_path)
    assert not running.watch.health().ready

    await running.holding.follow()
    await running.watch.look()
    assert running.watch.health().ready

    kafka.away = True
    await running.watch.look()
    health = running.watch.health()
    assert (health.live, health.ready, health.why) == (True, False, ["Kafka doesn't answer"])
    running.holding.release()


async def test_lag_without_a_step_ends_the_process(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0))
    running = Running(kafka, tmp_path)
    await running.holding.follow()
    await running.watch.look()
    assert running.figure("lag_offsets", partition="0") == 1
    kafka.now += STILL_S
    with pytest.raises(Stalled, match="none was read"):
        await running.watch.look()
    running.holding.release()


async def test_the_lag_of_a_partition_that_went_to_another_is_told_no_more(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0))
    running = Running(kafka, tmp_path)
    await running.holding.follow()
    await running.watch.look()
    assert 'reasonmed_exporter_lag_offsets{partition="0"} 1.0' in generate_latest(running.metrics.registry).decode()
    running.holding.release()
    await running.watch.look()
    assert "reasonmed_exporter_lag_offsets{" not in generate_latest(running.metrics.registry).decode()


async def test_a_client_that_alone_gets_no_answer_ends_the_process(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.away = True
    running = Running(kafka, tmp_path)
    await running.watch.look()
    kafka.now += STILL_S
    with pytest.raises(Stalled, match="can be reached"):
        await running.watch.look()


def test_the_disk_is_looked_at_even_before_the_folder_is_there(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.watch_disk(tmp_path / "not" / "yet")
    assert (metrics.registry.get_sample_value("reasonmed_exporter_disk_free_bytes") or 0) > 0
