"""The loop, on a topic in memory: ends, stops, rebalances, other writers, dead letters, a full disk, Kafka away."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.core.messages import TopicPartition
from services.datasets.dataset import Dataset
from services.exporter.exporter import TableTrouble
from services.exporter.layout import RECORDS
from services.exporter.partition import Limits, Partition, TooManyDead
from services.exporter.table import BadTable, Table
from tests.unit.exporter.fakes import FakeKafka, Running, ids_of
from tests.unit.exporter.world import TOPIC, message, record, record_ids


async def test_once_reads_to_the_end_and_closes(tmp_path: Path) -> None:
    kafka = FakeKafka(partitions=2)
    kafka.write(*(record(number) for number in range(10)))
    kafka.write(record(10), record(11), partition=1)
    running = Running(kafka, tmp_path)

    assert await running.once()

    assert record_ids(tmp_path) == ids_of(*range(12))
    assert Dataset.open(tmp_path).watermark() == {"0": 10, "1": 2}
    offsets = [each["offsets"] for each in Dataset.open(tmp_path).commits() if each["partition"] == 0]
    assert sorted(offsets) == ["0-3", "4-7", "8-9"]
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
    assert len(Dataset.open(tmp_path).files) == 1


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


async def test_an_overtaken_writer_resumes_from_the_table(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(*(record(number) for number in range(7)))
    running = Running(kafka, tmp_path, limits=Limits(rows=100, age_s=2))

    def overtakes() -> None:
        if kafka.polls == 2:
            heir = Partition.open(Table.open(str(tmp_path), RECORDS), TOPIC, 0)
            for offset in range(5):
                heir.accept(message(offset, record(offset)), 0)
            heir.seal()
        if kafka.polls == 20:
            running.stop.set()

    kafka.on_poll = overtakes
    await running.exporter.run(running.stop)
    assert record_ids(tmp_path) == ids_of(*range(7))
    assert Dataset.open(tmp_path).watermark() == {"0": 7}


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
            assert Dataset.open(tmp_path).commits() == []
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
    assert (kafka.published, Dataset.open(tmp_path).commits()) == ([], [])


async def test_a_full_disk_is_an_error_that_says_what_to_do_and_loses_nothing(tmp_path: Path) -> None:
    class Full(Table):
        def append(self, rows: Any, partition: TopicPartition, **given: Any) -> None:
            if given["next_offset"] > 4:
                raise OSError(28, "No space left on device")
            super().append(rows, partition, **given)

    kafka = FakeKafka()
    kafka.write(*(record(number) for number in range(9)))
    with pytest.raises(TableTrouble, match=r"No space left on device.*start again"):
        await Running(kafka, tmp_path, table=lambda: Full.open(str(tmp_path), RECORDS)).once()

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


async def test_another_clusters_table_is_refused(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0), record(1))
    assert await Running(kafka, tmp_path).once()
    with pytest.raises(BadTable, match="another cluster"):
        await Running(FakeKafka(), tmp_path).once()


async def test_a_cancelled_exporter_ends_only_after_its_commit(tmp_path: Path) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(Table):
        def append(self, rows: Any, partition: TopicPartition, **given: Any) -> None:
            loop.call_soon_threadsafe(began.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            super().append(rows, partition, **given)

    kafka = FakeKafka()
    kafka.write(record(0))
    running = asyncio.create_task(Running(kafka, tmp_path, table=lambda: Slow.open(str(tmp_path), RECORDS)).once())
    await began.wait()
    running.cancel()
    await asyncio.sleep(0)
    assert not running.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert record_ids(tmp_path) == ids_of(0)
