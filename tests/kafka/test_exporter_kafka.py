"""The exporter on Apache Kafka itself, its processes real ones: killed, stopped, crowded, out of disk, Kafka gone.

The topic is the truth: whatever happened, the dataset holds each of its records once, in the order of the offsets.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from services.contracts.codec import decode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.record import Record
from services.datasets.dataset import Dataset
from services.local.processes.process import Process
from services.local.servers.kafka import KafkaCluster
from tests.kafka.exporting import DEAD, PARTITIONS, PROJECT, Stand, ended_or_logged, logged, records, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(loop_scope="module")
async def stand(kafka: KafkaCluster, tmp_path: Path) -> AsyncIterator[Stand]:
    async with AsyncExitStack() as stack:
        made = Stand(kafka, tmp_path, stack)
        await made.declare()
        yield made


async def test_exporters_join_are_killed_and_leave(stand: Stand) -> None:
    one = await stand.exporter()
    await until(lambda: len(logged(one, "writing")) == PARTITIONS)
    await stand.write(records(200))

    two = await stand.exporter()
    await until(lambda: len(logged(two, "writing")) >= 1)
    await stand.write(records(200))
    await one.kill()
    await stand.write(records(200))
    await stand.until_exported()

    three = await stand.exporter()
    await until(lambda: len(logged(three, "writing")) >= 1)
    await stand.write(records(200))
    assert await two.terminate() == 0, two.log_tail()
    await stand.until_exported()
    assert await three.terminate() == 0, three.log_tail()
    await stand.assert_exact()


async def test_one_that_stood_still_past_its_session_cannot_write_beside_the_next(stand: Stand) -> None:
    zombie = await stand.exporter(age_s=600, rows=100_000)
    total = len(await stand.messages())
    await until(lambda: len(logged(zombie, "writing")) == PARTITIONS)
    await stand.write(records(50))
    zombie.pause()

    heir = await stand.exporter()
    await until(lambda: stand.offset() == total + 50)

    zombie.resume()
    assert await zombie.terminate() == 0, zombie.log_tail()
    await stand.until_exported()
    assert await heir.terminate() == 0, heir.log_tail()
    await stand.assert_exact()


async def test_sigterm_closes_the_open_parts(stand: Stand) -> None:
    exporter = await stand.exporter(age_s=600, rows=100_000, buffer_bytes=2**30)
    await stand.write(records(50))
    await until(lambda: len(logged(exporter, "writing")) == PARTITIONS)
    assert Dataset.open(stand.folder).commits() == []
    assert await exporter.terminate() == 0, exporter.log_tail()

    rest = await stand.exporter("--once")
    assert await rest.wait() == 0, rest.log_tail()
    await stand.assert_exact()


async def test_a_full_disk_ends_it_with_what_to_do_and_nothing_is_lost(stand: Stand) -> None:
    await stand.write(records(400))
    full = await stand.exporter("--once", rows=100_000, ulimit="-f 64")  # KiB a file: as a file system that is full
    assert await full.wait() == 1
    (end,) = logged(full, "ended")
    assert "can't write the dataset" in str(end["error"])
    assert "start again" in str(end["error"])

    again = await stand.exporter("--once")
    assert await again.wait() == 0, again.log_tail()
    await stand.assert_exact()


async def test_it_outlives_a_kafka_that_stops_and_starts(stand: Stand, kafka: KafkaCluster) -> None:
    exporter = await stand.exporter()
    await stand.write(records(50))
    await stand.until_exported()
    await kafka.stop()
    await kafka.start()
    await stand.write(records(50))
    await stand.until_exported()
    assert exporter.running, exporter.log_tail()
    assert await exporter.terminate() == 0, exporter.log_tail()
    await stand.assert_exact()


# Last of those on the broker: the others would all export its 1,660 messages again.
async def test_killed_at_any_moment_each_record_is_there_once(stand: Stand) -> None:
    chance = random.Random(20_240_607)
    first = records(1_500)
    repeated = chance.sample(first, 150)
    bad = [f"no record {number}".encode() for number in range(10)]
    mixed: list[Record | bytes] = [*first, *bad]
    await stand.write([*chance.sample(mixed, len(mixed)), *repeated])

    for _ in range(8):
        exporter = await stand.exporter("--once")
        parts = chance.randint(0, 6)
        event = "committed" if parts else "writing"
        await until(partial(ended_or_logged, exporter, event, parts), every_s=0.002)
        await asyncio.sleep(chance.uniform(0, 0.02))  # anywhere between two steps of a part
        assert await exporter.kill() == -9, exporter.log_tail()

    last = await stand.exporter("--once")
    assert await last.wait() == 0, last.log_tail()
    await stand.assert_exact()
    await _assert_dead_letters(stand, bad)


async def _assert_dead_letters(stand: Stand, bad: Sequence[bytes]) -> None:
    """Each bad message has its dead letter, perhaps several (a kill before the commit), all the same."""
    letters = [decode(DeadLetter, message.headers[DEAD_LETTER_HEADER]) for message in await stand.messages(DEAD)]
    said = {(letter.partition, letter.offset, letter.kind, letter.error) for letter in letters}
    where = {(m.partition, m.offset) for m in await stand.messages() if m.value in bad}
    assert where <= {(partition, offset) for partition, offset, _, _ in said}
    assert len(said) == len({(partition, offset) for partition, offset, _, _ in said})
    assert {message.value for message in await stand.messages(DEAD)} >= set(bad)


async def test_without_kafka_it_says_so_and_exits_with_an_error(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "REASONMED_KAFKA__BOOTSTRAP": "127.0.0.1:9"}
    argv = [sys.executable, "-m", "services.exporter", "--once", "--out", str(tmp_path / "dataset")]
    async with Process("exporter", argv, log=tmp_path / "log", env=env, cwd=PROJECT) as exporter:
        assert await exporter.wait() == 1
        assert "Kafka" in str(logged(exporter, "ended")[0]["error"])
