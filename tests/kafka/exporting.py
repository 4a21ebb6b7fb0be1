"""A topic of records, a dataset, and exporters as processes."""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import orjson

from services.contracts.codec import encode
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

PROJECT = Path(__file__).parents[2]
PARTITIONS = 4
NUMBERS = itertools.count()
DEAD = dead_topic("exporter")


class Stand:
    """A topic with records, a folder, and exporters that come and go."""

    def __init__(self, kafka: KafkaCluster, folder: Path, stack: AsyncExitStack) -> None:
        self.client = KafkaClient(bootstrap=kafka.bootstrap)
        self.folder = folder / "dataset"
        self.ledger = f"sqlite://{folder}/ledger.sqlite"
        self._logs = folder
        self._stack = stack
        self._started = 0

    async def declare(self, *more: str) -> None:
        names = (RECORD_COMPLETED, DEAD, *more)
        await declare(self.client, [TopicSpec(name=name, partitions=PARTITIONS, replication=1) for name in names])

    async def write(self, records: Iterable[Record | bytes]) -> None:
        await self.publish([_outgoing(each) for each in records])

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        async with KafkaSink(self.client) as sink:
            for start in range(0, len(messages), 500):
                await sink.publish(messages[start : start + 500])

    async def exporter(self, *arguments: str, ulimit: str | None = None, **settings: object) -> Process:
        """Start one; returned while it is still connecting."""
        self._started += 1
        name = f"exporter-{self._started}"
        chosen = {"rows": 20, "age_s": 1, "paths": False} | settings
        env = {**os.environ, "PYTHONPATH": str(PROJECT), "REASONMED_KAFKA__BOOTSTRAP": self.client.bootstrap}
        env |= {"REASONMED_SESSION_S": "2", "REASONMED_LEDGER": self.ledger}
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
