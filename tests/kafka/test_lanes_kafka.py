"""Live questions beside a backfill, on Apache Kafka: they go first through router and generator, also after a kill."""

from collections.abc import AsyncIterator
from itertools import islice

import pytest
import pytest_asyncio

from services.contracts.question import Question
from services.contracts.topics import PATHS_GENERATED, QUESTION_ADMITTED, Lane, in_lane
from services.importers.rows import outgoing
from tests.chaos.questions import questions
from tests.kafka.stream import Stream, case_ids, running
from tests.kafka.tap import ask_until
from tests.kafka.test_stream_kafka import recipe

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

BACKFILL, LIVE = 30, 4
RECIPE = recipe("quick", "quick", "quick")
SETTINGS = {"REASONMED_MODELS__quick__max_calls": "3", "REASONMED_LEASE_S": "2", "REASONMED_SESSION_S": "6"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    folder, models = tmp_path_factory.mktemp("lanes"), {"quick": "0.2"}
    async with running(
        folder, recipes=[RECIPE], servers=models, aliases={"quick": "quick"}, settings=SETTINGS
    ) as stream:
        await stream.servers["quick"].process.start()
        await stream.start("router-1")
        yield stream


async def submit(stream: Stream, asked: list[Question], lane: Lane) -> None:
    await stream.sink.publish([outgoing(question, lane=lane) for question in asked])
    await until_in(stream, QUESTION_ADMITTED, asked, lane)


async def until_in(stream: Stream, topic: str, asked: list[Question], lane: Lane) -> None:
    """Wait until all of them are in the topic of their lane."""
    await stream.tap.until(lambda: case_ids(asked) <= found(stream, topic, lane), str, within_s=90)


def found(stream: Stream, topic: str, lane: Lane) -> set[str]:
    return {(message.key or b"").decode() for message in stream.tap.messages[in_lane(topic, lane)]}


async def test_live_questions_pass_a_backfill_also_after_a_kill(stream: Stream) -> None:
    late, live = (list(islice(questions(count, first=first), count)) for count, first in ((BACKFILL, 1), (LIVE, 500)))
    await submit(stream, late, "backfill")
    await submit(stream, live, "live")

    async def begun() -> int:
        return sum(line["event"] == "start" for line in stream.log(live))

    worker = await stream.begin("generator-1")
    await ask_until(begun, lambda count: count > 0)
    await worker.kill()
    await stream.start("generator-1")
    await until_in(stream, PATHS_GENERATED, live, "live")
    assert len(found(stream, PATHS_GENERATED, "backfill")) < BACKFILL / 2
    await until_in(stream, PATHS_GENERATED, late, "backfill")
    assert not found(stream, PATHS_GENERATED, "live") & case_ids(late), "each in its own lane"
    assert stream.dead("generator") == stream.dead("router") == []
