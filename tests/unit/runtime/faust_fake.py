"""What `FaustSource` uses of a faust.App, and of the aiokafka consumer in it: a test says what is delivered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

from services.core.messages import TopicPartition

IN = TopicPartition("in", 0)


class FakeConsumer:
    """aiokafka's consumer, with its coordinator."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, tuple[int, str]] = {}
        self.begins: dict[Any, int] = {IN: 0}
        self.ends: dict[Any, int] = {IN: 0}
        self.generation = 0
        self.answers = asyncio.Event()
        self.answers.set()
        loop = asyncio.get_running_loop()
        self._coordinator = self
        self._coordination_task = loop.create_future()
        self._fetcher = SimpleNamespace(_fetch_task=loop.create_future())

    async def ensure_coordinator_known(self) -> None:
        await self.answers.wait()

    async def fetch_committed_offsets(self, partitions: list[Any]) -> Mapping[Any, Any]:
        await self.answers.wait()
        found = {key: self.committed[TopicPartition(*key)] for key in partitions if tuple(key) in self.committed}
        return {key: SimpleNamespace(offset=offset, metadata=text) for key, (offset, text) in found.items()}

    async def _do_commit_offsets(self, assignment: object, offsets: Mapping[Any, Any]) -> None:
        self.committed |= {TopicPartition(*key): (value.offset, value.metadata) for key, value in offsets.items()}

    async def beginning_offsets(self, partitions: list[Any]) -> Mapping[Any, int]:
        return self.begins

    async def end_offsets(self, partitions: list[Any]) -> Mapping[Any, int]:
        await self.answers.wait()
        return self.ends

    async def topics(self) -> set[str]:
        await self.answers.wait()
        return set()


class FakeFaust:
    """The app. Its thread's event loop is the test's own."""

    def __init__(self) -> None:
        self.kafka = FakeConsumer()
        self.consumer: Any = self
        self.member: Any = None
        self.started = False
        self.stopped = asyncio.Event()
        self._thread = SimpleNamespace(_consumer=self.kafka, thread_loop=asyncio.get_running_loop())
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._agents: list[Callable[[Any], Awaitable[None]]] = []
        self._running: list[asyncio.Future[None]] = []

    def topic(self, name: str, **_: Any) -> str:
        return name

    def agent(self, topic: str, **_: Any) -> Callable[[Any], None]:
        return self._agents.append

    async def start(self) -> None:
        self.started = True
        self._running = [asyncio.ensure_future(agent(self)) for agent in self._agents]
        self.assign()

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def wait_until_stopped(self) -> None:
        await self.stopped.wait()

    def noack(self) -> "FakeFaust":
        return self

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self._events.get()

    def assign(self) -> None:
        """A new generation begins."""
        self.kafka.generation += 1
        self.member.on_assigned({IN}, self.kafka.generation)

    async def rebalance(self) -> None:
        await self.member.on_revoked()
        self.assign()

    def deliver(self, *offsets: int, generation: int | None = None) -> None:
        """Faust delivers these, in this order, whatever there is in Kafka."""
        for offset in offsets:
            message = SimpleNamespace(
                topic=IN.topic,
                partition=IN.partition,
                offset=offset,
                key=b"k",
                value=str(offset).encode(),
                headers=[],
                timestamp=1_779_019_200.5,
                generation_id=self.kafka.generation if generation is None else generation,
            )
            self._events.put_nowait(SimpleNamespace(message=message))
