"""A toy stage on a real Kafka: workers in processes of their own, its topics, its ledger."""

import asyncio
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient

from services.core.messages import ConsumedRecord, OutgoingRecord
from services.local.processes.process import Process
from services.local.servers.kafka import KafkaCluster
from services.runtime.engine.offset_ranges import decode as decode_ranges
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import TopicSpec, declare
from services.runtime.kafka.reader import read_topic
from services.runtime.kafka.sink import KafkaSink

PROJECT = Path(__file__).parents[2]
T = TypeVar("T")

NAMES = (f"t{number}" for number in itertools.count())


class Stage:
    """A toy stage: its topics, its ledger, its workers, and what became of its messages."""

    def __init__(self, kafka: KafkaCluster, folder: Path, stack: AsyncExitStack) -> None:
        self.name = next(NAMES)
        self.client = KafkaClient(bootstrap=kafka.bootstrap)
        self.folder = folder
        self._stack = stack
        self._workers = 0
        self.settings: dict[str, Any] = {
            "bootstrap": kafka.bootstrap,
            "group": self.name,
            "service": self.name,
            "topics": [f"{self.name}-in"],
            "out": f"{self.name}-out",
            "dead": f"{self.name}-dead",
            "ledger": str(folder / "ledger"),
            "starts": str(folder / "starts"),
            "times": {"session_s": 2.0},
            "limits": {"watch_s": 1.0},
        }

    async def declare(self, partitions: int = 1) -> None:
        specs = [TopicSpec(name=f"{self.name}-{kind}", partitions=partitions, replication=1) for kind in KINDS]
        await declare(self.client, specs)

    async def send(self, *bodies: dict[str, Any]) -> None:
        async with KafkaSink(self.client) as sink:
            await sink.publish(
                [
                    OutgoingRecord(f"{self.name}-in", str(one["id"]).encode(), json.dumps(one).encode(), {})
                    for one in bodies
                ]
            )

    async def worker(self, **settings: Any) -> Process:
        """Start one; returned while it is still joining."""
        self._workers += 1
        log = self.folder / f"worker-{self._workers}.log"
        merged = {
            key: {**value, **settings.get(key, {})} if isinstance(value, dict) else value
            for key, value in self.settings.items()
        }
        argument = json.dumps({**settings, **merged})
        path = {**os.environ, "PYTHONPATH": str(PROJECT)}
        argv = [sys.executable, str(Path(__file__).with_name("toy_worker.py")), argument]
        return await self._stack.enter_async_context(Process(f"worker-{self._workers}", argv, log=log, env=path))

    async def read(self, kind: str) -> list[ConsumedRecord]:
        return [message async for message in read_topic(self.client, f"{self.name}-{kind}")]

    async def outputs(self) -> Counter[int]:
        """How often each message's output is there."""
        return Counter(json.loads(message.value or b"")["id"] for message in await self.read("out"))

    async def until_out(self, count: int) -> Counter[int]:
        return await until(self.outputs, lambda outputs: len(outputs) >= count)

    async def committed(self) -> list[int]:
        """The group's commits, by partition."""
        return [commit.offset for commit in (await self._commits()).values()]

    async def settled(self) -> set[int]:
        """The messages that will not be begun again: the group's commits say that they are finished."""
        commits = await self._commits()
        above = {partition: decode_ranges(commit.offset, commit.metadata) for partition, commit in commits.items()}
        return {
            json.loads(message.value or b"")["id"]
            for message in await self.read("in")
            if (commit := commits.get(message.partition))
            and (message.offset < commit.offset or message.offset in above[message.partition])
        }

    async def _commits(self) -> dict[int, Any]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.client.bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self.name)
        finally:
            await admin.close()
        return {key.partition: value for key, value in sorted(found.items())}

    async def ends(self) -> list[int]:
        """The ends of the topic's partitions that hold anything."""
        messages = await self.read("in")
        last = {message.partition: message.offset + 1 for message in messages}
        return [last[partition] for partition in sorted(last)]

    def starts(self) -> Counter[int]:
        """How often each message was begun."""
        path = Path(self.settings["starts"])
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(int(line.split()[0]) for line in lines)


KINDS = ("in", "out", "dead")


async def until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, within_s: float = 40) -> T:
    """Ask until it holds."""
    async with asyncio.timeout(within_s):
        while not holds(answer := await ask()):  # noqa: ASYNC110 -- another process's doing
            await asyncio.sleep(0.2)
    return answer


def many(count: int, **fields: Any) -> Sequence[dict[str, Any]]:
    return [{"id": number, **fields} for number in range(count)]


def stats(worker: Process) -> dict[str, Any]:
    """What an orderly worker printed at its end."""
    lines = [line for line in worker.log.read_text().splitlines() if line.startswith('{"taken"')]
    return dict(json.loads(lines[-1]))
