"""A worker that is told to go leaves its group first, and lets its calls end into the ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import islice

import pytest
import pytest_asyncio

from services.contracts.topics import PATHS_GENERATED
from tests.chaos.questions import questions
from tests.kafka.stream import Stream, case_ids, running
from tests.kafka.test_stream_kafka import recipe

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SLOW, QUICK = recipe("slow", "slow", "slow"), recipe("quick", "quick", "quick")
SLOW_S = 25


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    folder, servers = tmp_path_factory.mktemp("leaving"), {"slow": str(SLOW_S), "quick": "0"}
    aliases = {name: name for name in servers}
    async with running(folder, recipes=[QUICK, SLOW], servers=servers, aliases=aliases) as stream:
        await asyncio.gather(*(server.process.start() for server in stream.servers.values()))
        await stream.start("router-1", "generator-1", "generator-2")
        yield stream


async def test_messages_wait_for_the_group_and_not_for_calls_of_the_one_that_left(
    stream: Stream, record_property: Callable[[str, object], None]
) -> None:
    slow, quick = list(islice(questions(2), 2)), list(islice(questions(60, first=100), 60))
    await stream.submit(slow, SLOW)
    await stream.until_under_way(slow, len(slow) * len(SLOW.generate.plan))
    under_way = {name: stream.under_way(slow, stream.worker(name)) for name in ("generator-1", "generator-2")}
    name = max(under_way, key=lambda each: len(under_way[each]))
    leaving = asyncio.create_task(stream.worker(name).terminate(60.0))
    told = time.monotonic()
    await stream.submit(quick)  # some to each partition
    await stream.tap.until(lambda: case_ids(quick) <= through(stream), str, within_s=SLOW_S)
    record_property("waited_s", round(time.monotonic() - told, 1))
    assert stream.under_way(slow, stream.worker(name)) == under_way[name] != set(), "its calls go on"
    assert not leaving.done()
    assert "draining" in await stream.why_not_ready(name), "it says so until they have ended"
    await stream.tap.until(lambda: case_ids(slow) <= through(stream), str, within_s=2 * SLOW_S)
    assert await leaving == 0
    assert stream.repeated([*slow, *quick]) == set()
    assert stream.dead("generator") == []


def through(stream: Stream) -> set[str]:
    return {(message.key or b"").decode() for message in stream.tap.messages[PATHS_GENERATED]}
