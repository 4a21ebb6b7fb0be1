"""The exporter on Apache Kafka itself, its processes real ones: killed, stopped, crowded, out of disk, Kafka gone.

The topic is the truth: whatever happened, the dataset holds each of its records once, in the order of the offsets.
"""

import asyncio
import itertools
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from services.contracts.codec import decode, encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.record import Record
from services.contracts.topics import RECORD_COMPLETED, dead_topic
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.datasets.dataset import Dataset, read_dataset
from services.local.processes.process import Process
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import TopicSpec, declare
from services.runtime.kafka.reader import read_topic
from services.runtime.kafka.sink import KafkaSink
from tests.unit.exporter.world import record

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PROJECT = Path(__file__).parents[2]
PARTITIONS = 4
NUMBERS = itertools.count()
DEAD = dead_topic("exporter")


class Stand:
    """A topic with records, a folder, and exporters that come and go."""

    def __init__(self, kafka: KafkaCluster, folder: Path, stack: AsyncExitStack) -> None:
        self.client = KafkaClient(bootstrap=kafka.bootstrap)
        self.folder = folder / "dataset"
        self._logs = folder
        self._stack = stack
        self._started = 0

    async def declare(self) -> None:
        names = (RECORD_COMPLETED, DEAD)
        await declare(self.client, [TopicSpec(name=name, partitions=PARTITIONS, replication=1) for name in names])

    async def write(self, records: Iterable[Record | bytes]) -> None:
        messages = [_outgoing(each) for each in records]
        async with KafkaSink(self.client) as sink:
            for start in range(0, len(messages), 500):
                await sink.publish(messages[start : start + 500])

    async def exporter(self, *arguments: str, ulimit: str | None = None, **settings: object) -> Process:
        """Start one; returned while it is still connecting."""
        self._started += 1
        name = f"exporter-{self._started}"
        chosen = {"rows": 20, "age_s": 1} | settings
        env = {**os.environ, "PYTHONPATH": str(PROJECT), "REASONMED_KAFKA__BOOTSTRAP": self.client.bootstrap}
        env |= {"REASONMED_SESSION_S": "2"}
        env |= {f"REASONMED_EXPORT__{key.upper()}": str(value) for key, value in chosen.items()}
        argv = [sys.executable, "-m", "services.exporter", "--out", str(self.folder), *arguments]
        if ulimit is not None:
            argv = ["/bin/sh", "-c", f'ulimit {ulimit} && exec "$@"', "sh", *argv]
        process = Process(name, argv, log=self._logs / f"{name}.log", env=env, cwd=PROJECT)
        return await self._stack.enter_async_context(process)

    async def messages(self, topic: str = RECORD_COMPLETED) -> list[ConsumedRecord]:
        return [message async for message in read_topic(self.client, topic)]

    def offset(self) -> int:
        """How many messages the table accounts for."""
        return sum(Dataset.open(self.folder).watermark().values())

    async def until_exported(self) -> None:
        total = len(await self.messages())
        await until(lambda: self.offset() == total)

    async def assert_exact(self) -> None:
        """The dataset is just what the topic says: each record once, by partition and offset; each offset accounted
        for."""
        expected: dict[int, dict[str, int]] = {number: {} for number in range(PARTITIONS)}
        dead = repeats = 0
        for message in await self.messages():
            read = _record_id(message)
            if read is None:
                dead += 1
            elif read in expected[message.partition]:
                repeats += 1
            else:
                expected[message.partition][read] = message.offset
        found = read_dataset(self.folder)
        rows = zip(*(found[name].to_pylist() for name in ("kafka_partition", "record_id", "kafka_offset")), strict=True)
        assert list(rows) == [(n, *pair) for n, pairs in expected.items() for pair in pairs.items()]
        dropped = [commit["dropped"] for commit in Dataset.open(self.folder).commits()]
        assert (sum(each["dead"] for each in dropped), sum(each["equal"] for each in dropped)) == (dead, repeats)
        assert sum(each["absent"] + each["differing"] + each["unchecked"] for each in dropped) == 0


@pytest_asyncio.fixture(loop_scope="module")
async def stand(kafka: KafkaCluster, tmp_path: Path) -> AsyncIterator[Stand]:
    async with AsyncExitStack() as stack:
        made = Stand(kafka, tmp_path, stack)
        await made.declare()
        yield made


def records(count: int) -> list[Record]:
    return [record(next(NUMBERS)) for _ in range(count)]


def _outgoing(what: Record | bytes) -> OutgoingRecord:
    if isinstance(what, bytes):
        return OutgoingRecord(RECORD_COMPLETED, b"key of " + what, what, {})
    return OutgoingRecord(RECORD_COMPLETED, what.case_id.encode(), encode(what), {})


def _record_id(message: ConsumedRecord) -> str | None:
    try:
        return str(orjson.loads(message.value or b"")["record_id"])
    except orjson.JSONDecodeError:
        return None


async def until(true: Callable[[], bool], *, within_s: float = 60, every_s: float = 0.05) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what happens in another process can't be awaited, only looked at
            await asyncio.sleep(every_s)


def logged(process: Process, event: str) -> list[dict[str, object]]:
    """What a process said, of one kind."""
    if not process.log.exists():
        return []
    lines = process.log.read_bytes().splitlines()
    said = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    return [line for line in said if line["event"] == event]


def ended_or_logged(process: Process, event: str, times: int) -> bool:
    return not process.running or len(logged(process, event)) >= times


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
