"""Rule 10 from within: a client that is broken ends its process, whether it is aiokafka's or Faust's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from services.contracts.topics import QUESTION_SUBMITTED, dead_topic
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from services.ledger.memory.attempts import MemoryAttempts
from services.ledger.memory.circuits import MemoryCircuits
from services.ledger.memory.server import MemoryServer
from services.runtime.engine.engine import Engine
from services.runtime.engine.handler import Handle
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import Source
from services.runtime.engine.stall import Stalled
from services.runtime.faust.client import build
from services.runtime.faust.source import FaustSource
from services.runtime.kafka.admin import committed, held
from services.runtime.kafka.membership import GroupTimes
from services.runtime.kafka.source import KafkaSource
from tests.kafka.stream import Stream, running
from tests.kafka.tap import ask_until
from tests.kafka.test_liveness_kafka import RECIPE, SESSION_S, questions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    """Kafka alone: the workers are in this process."""
    properties = {"group.min.session.timeout.ms": "500"}
    async with running(
        tmp_path_factory.mktemp("stalled"), recipes=[RECIPE], servers={}, aliases={}, properties=properties
    ) as stream:
        yield stream


async def ignore(message: ConsumedRecord) -> list[OutgoingRecord]:
    return []


LIMITS = Limits(watch_s=0.5, wedged_s=10.0)
"""Quicker to see it than in production, where it is 5 and 120 s; and longer than joining takes on a busy machine."""


def engine(stream: Stream, group: str, source: Source, handle: Handle) -> Engine:
    return Engine(
        service=group,
        owner="me",
        source=source,
        sink=stream.sink,
        handle=handle,
        attempts=MemoryAttempts(MemoryServer()),
        circuits=MemoryCircuits(MemoryServer()),
        holds=Holds(),
        dead_topic=dead_topic("router"),
        limits=LIMITS,
    )


@asynccontextmanager
async def working(stream: Stream, engine: Engine) -> AsyncIterator["asyncio.Task[None]"]:
    """It has begun to work, on what the router reads."""
    running = asyncio.create_task(engine.run(stop := asyncio.Event()))
    try:
        await stream.submit(questions(5))
        await ask_until(lambda: taken(engine), lambda count: count >= 5)
        yield running
    finally:
        stop.set()
        await asyncio.wait({running})


@asynccontextmanager
async def on_aiokafka(stream: Stream, group: str) -> AsyncIterator[tuple[Engine, Any, "asyncio.Task[None]"]]:
    """An engine, its aiokafka consumer, and its run."""
    times = GroupTimes(session_s=SESSION_S)
    source = KafkaSource(stream.client, topics=[QUESTION_SUBMITTED], group=group, times=times)
    made = engine(stream, group, source, ignore)
    async with working(stream, made) as running:
        yield made, source._consumer, running


@asynccontextmanager
async def on_faust(
    stream: Stream, group: str, handle: Handle = ignore
) -> AsyncIterator[tuple[Engine, Any, "asyncio.Task[None]"]]:
    """The same, on Faust."""
    app = build(group, stream.client, GroupTimes(session_s=SESSION_S))
    made = engine(stream, group, FaustSource(app, client=stream.client, topics=[QUESTION_SUBMITTED]), handle)
    async with working(stream, made) as running:
        yield made, app.consumer._thread._consumer, running  # type: ignore[attr-defined]


async def taken(engine: Engine) -> int:
    return engine.counters.taken


BACKGROUND = {
    "fetcher": lambda consumer: consumer._fetcher._fetch_task,
    "coordinator": lambda consumer: consumer._coordinator._coordination_task,
}


@pytest.mark.parametrize("name", BACKGROUND)
@pytest.mark.parametrize("begun", [on_aiokafka, on_faust])
async def test_a_client_whose_background_task_is_over_ends_the_process(
    stream: Stream, begun: Callable[..., Any], name: str
) -> None:
    async with begun(stream, f"over-{name}-{begun.__name__}") as (_, consumer, running):
        task = BACKGROUND[name](consumer)
        task.get_loop().call_soon_threadsafe(task.cancel)
        await asyncio.wait({running}, timeout=60)
        assert stands_still(running) == f"aiokafka's {name} has ended by itself"


def stands_still(running: "asyncio.Task[None]") -> str:
    """What a worker that has ended says of its client."""
    assert running.done()
    error = running.exception()
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Stalled)
    return str(error)


async def test_a_faust_whose_records_wait_longer_than_the_poll_interval_stays_in_its_group(stream: Stream) -> None:
    """Faust as it is leaves the group then, and never joins again (faust-streaming #138). Here its agents never wait:
    only the engine does, with every buffer full."""
    go, waited_s = asyncio.Event(), 6.0

    async def wait(message: ConsumedRecord) -> list[OutgoingRecord]:
        await go.wait()
        return []

    await stream.submit(questions(400))
    async with on_faust(stream, "waits", wait) as (engine, consumer, running):
        # Not before it has a record in hand: on a busy machine Faust takes longer than this to begin, and never does.
        consumer._coordinator._max_poll_interval = 2.0
        await asyncio.sleep(waited_s)  # three intervals
        assert engine.counters.rebalances == 0
        assert engine.health().ready
        go.set()
        ends = await held(stream.client, [QUESTION_SUBMITTED])
        await ask_until(lambda: progress(stream, "waits"), lambda done: done == {p: at.stop for p, at in ends.items()})
        assert not running.done()


async def progress(stream: Stream, group: str) -> dict[TopicPartition, int]:
    return dict((await committed(stream.client, [group]))[group])


async def test_a_member_that_was_put_out_and_does_not_notice_ends_the_process(stream: Stream) -> None:
    """It sends no heartbeats and joins no more, but continues to fetch: only its commits are refused."""
    async with on_aiokafka(stream, "put-out") as (_, consumer, running):

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        coordinator = consumer._coordinator
        coordinator.ensure_active_group = never
        coordinator._heartbeat_task.cancel()
        await ask_until(lambda: members(stream, "put-out"), lambda count: count == 0)
        await stream.submit(questions(5))
        await asyncio.wait({running}, timeout=60)
        assert "commit failed: the generation has ended" in stands_still(running)


async def members(stream: Stream, group: str) -> int:
    admin = AIOKafkaAdminClient(**stream.client.arguments())
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
    finally:
        await admin.close()
    return len(answer.groups[0][-2])
