"""`FaustSource`: a member of a consumer group over a Faust app, with the promises of `Source`.

An agent a topic puts each event into its partition's buffer, and `poll` takes from there. Faust's own acknowledgements
are not used: the engine commits, through the app's aiokafka consumer. So a commit never covers what Faust loses; what
it skips is read again (buffer.py), and what it drops at a partition's end shows as lag without movement (rule 10).
"""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from typing import Any, TypeVar

import faust
import structlog

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, TopicPartition
from services.runtime.engine.commit_rule import Committed
from services.runtime.engine.source import Listener
from services.runtime.engine.stall import Stalled
from services.runtime.faust.buffer import Buffer
from services.runtime.kafka import membership
from services.runtime.kafka.admin import reachable
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.client_tasks import ended_task
from services.runtime.kafka.errors import broker_away
from services.runtime.kafka.reader import read_range

log = structlog.get_logger(__name__)

T = TypeVar("T")

ROOM = 32
"""Records of a partition that are buffered; a poll of Faust's may bring as many beyond it."""
ANSWER_S = 5.0
"""A request that the engine waits for, in seconds: a commit, committed offsets, end offsets."""
LEAVE_S = 15.0
"""For leaving the group, in seconds: a broker that is away doesn't keep the process."""


class FaustSource:
    """A member of the consumer group of a Faust app."""

    def __init__(self, app: faust.App, *, client: KafkaClient, topics: Collection[str]) -> None:
        """`app`: as faust/client.py builds it; one app has one source."""
        self._app = app
        self._client = client
        self._listener: Listener | None = None
        self._running: asyncio.Task[None] | None = None
        self._generation: int | None = None
        self._buffers: dict[TopicPartition, Buffer] = {}
        self._settled = True
        self._turn = 0
        self._news = asyncio.Event()
        for topic in topics:
            raw = app.topic(topic, key_serializer="raw", value_serializer="raw")
            app.agent(raw, name=topic, concurrency=1)(self._agent())

    async def start(self, listener: Listener) -> None:
        assert self._listener is None, "start once"
        if not await self.reachable():  # Faust would crash, and aiokafka would log each try.
            raise BrokerAway("Kafka: no answer")
        self._listener = listener
        consumer: Any = self._app.consumer
        consumer.member = self
        await self._app.start()
        self._running = asyncio.create_task(self._app.wait_until_stopped())

    async def poll(self, wanted: Collection[TopicPartition], *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        await asyncio.sleep(0)  # Never after the taking: what is returned belongs to this assignment.
        self._news.clear()
        if not (found := await self._take(wanted, limit)) and timeout_s > 0:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                return []
            found = await self._take(wanted, limit)
        return found

    async def commit(self, commits: Mapping[TopicPartition, Committed]) -> bool:
        if (generation := self._generation) is None:
            return False
        assert commits.keys() <= self._buffers.keys(), "only assigned partitions are committed"
        return await self._ask(
            membership.commit(self._consumer(), commits, generation=generation, current=lambda: self._generation)
        )

    async def lag(self) -> Mapping[TopicPartition, int]:
        self._check()
        consumer = self._consumer()
        partitions = list(self._buffers)
        if not partitions:
            await self._ask(consumer.topics())
            return {}
        ends = await self._ask(consumer.end_offsets(membership.keys(partitions)))
        return {
            partition: max(0, ends[partition] - buffer.next)
            for partition, buffer in self._buffers.items()
            if buffer.next is not None and partition in ends
        }

    async def reachable(self) -> bool:
        return await reachable(self._client, within_s=ANSWER_S)

    async def stop(self) -> None:
        self._generation = None
        if self._listener is None:
            return
        self._listener = None
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._app.stop()
        except TimeoutError:
            log.warning("the broker did not answer while leaving the group")
        finally:
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait({self._running})

    # What the app's consumer (client.py) says, in this event loop.

    def has_room(self, partition: TopicPartition) -> bool:
        """Whether records of a partition may be fetched."""
        buffer = self._buffers.get(partition)
        return buffer is None or len(buffer) < ROOM

    def on_assigned(self, partitions: Collection[Any], generation: int) -> None:
        """The group has given these partitions to this member."""
        self._generation = generation
        self._buffers = {TopicPartition(*partition): Buffer() for partition in partitions}
        self._settled = False
        self._news.set()

    async def on_revoked(self) -> None:
        """Every partition is being revoked."""
        self._settled = True
        try:
            if self._generation is not None and self._listener is not None:
                await self._listener.revoked(frozenset(self._buffers))
        finally:
            self._buffers, self._generation = {}, None

    def _agent(self) -> Any:
        async def agent(stream: Any) -> None:
            async for event in stream.noack().events():
                self._deliver(event.message)

        return agent

    def _deliver(self, message: Any) -> None:
        partition = TopicPartition(message.topic, message.partition)
        if message.generation_id == self._generation and partition in self._buffers:
            self._buffers[partition].deliver(_consumed(message))
            self._news.set()

    async def _take(self, wanted: Collection[TopicPartition], limit: int) -> list[ConsumedRecord]:
        """What is buffered, in fair shares."""
        self._check()
        await self._settle()
        order = list(wanted)
        for partition in order:
            await self._fill_gap(partition)
        taken: list[ConsumedRecord] = []
        self._turn += 1
        for number in range(len(order)):  # From here on nothing is awaited: what is taken is returned.
            buffer = self._buffers.get(order[(self._turn + number) % len(order)])
            if buffer is not None:
                taken += buffer.take(min(max(1, limit // len(order)), limit - len(taken)))
        return taken

    async def _settle(self) -> None:
        """Read the group's commits of newly assigned partitions, and tell the listener."""
        if self._settled:
            return
        buffers, consumer = self._buffers, self._consumer()
        commits = await self._ask(membership.committed(consumer, buffers.keys()))
        without = membership.keys([partition for partition, commit in commits.items() if commit is None])
        begins = await self._ask(consumer.beginning_offsets(without)) if without else {}
        if self._buffers is not buffers or self._listener is None:
            return  # revoked in the meantime
        self._settled = True
        for partition, commit in commits.items():
            buffers[partition].begin(begins[partition] if commit is None else commit.offset)
        self._listener.assigned(commits)

    async def _fill_gap(self, partition: TopicPartition) -> None:
        buffer = self._buffers.get(partition)
        while buffer is not None and (gap := buffer.gap()) is not None:
            what = f"{partition.topic}/{partition.partition}/{gap.start}"
            log.warning("Faust has skipped offsets: reading them again", what=what, to=gap.stop)
            found = await read_range(self._client, partition, gap.start, gap.stop)
            if self._buffers.get(partition) is not buffer:
                return  # revoked in the meantime
            buffer.fill(gap, found)
            if found:
                return

    def _check(self) -> None:
        """Raises Stalled where no record will ever come again; BrokerAway before the start."""
        if self._running is not None and self._running.done():
            raise Stalled("the Faust app ended by itself")
        if why := ended_task(self._consumer()):
            raise Stalled(why)

    def _consumer(self) -> Any:
        """The app's aiokafka consumer, which lives in a thread of Faust's. Raises BrokerAway before there is one."""
        thread = self._thread()
        if thread is None or thread._consumer is None:
            raise BrokerAway("Kafka: not connected yet")
        return thread._consumer

    def _thread(self) -> Any:
        """None before the app has started, and once it stops."""
        consumer: Any = self._app.consumer if self._running is not None and self._listener is not None else None
        return consumer._thread if consumer is not None else None

    async def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Ask Kafka in the consumer's own event loop. Raises BrokerAway, also without an answer within ANSWER_S."""
        with broker_away():
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self._thread().thread_loop))


def _consumed(message: Any) -> ConsumedRecord:
    headers = message.headers or {}
    pairs = headers.items() if isinstance(headers, dict) else headers
    return ConsumedRecord(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers={name: value or b"" for name, value in pairs},
        timestamp_ms=round(message.timestamp * 1000),
    )
